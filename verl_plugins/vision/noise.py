"""Random numbers that are the same on every device, so that noise can be drawn where the pixels are.

torch's generators give different numbers on a GPU and on a CPU, and on GPUs with different numbers of multiprocessors.
A run's noise must depend on its key alone (``verl_plugins.seeds``), whether a worker draws it on its GPU, another
worker after a resume, or the driver for the report. Therefore the bits come from SplitMix64 (Steele, Lea and Flood
2014; a hash of a counter that passes BigCrush), in integer operations that every device has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

WORD = 1 << 64
INCREMENT = 0x9E3779B97F4A7C15


def bits(seed: int, count: int, device: torch.device | str) -> Tensor:
    """Draw the first ``count`` outputs of SplitMix64 from ``seed``: (count,) int64, as signed numbers."""
    return _mixed(torch.arange(1, count + 1, device=device).mul_(_signed(INCREMENT)).add_(_signed(seed)))


def _mixed(state: Tensor) -> Tensor:
    """Hash the states of SplitMix64 in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state.bitwise_xor_(_shift_right(state, shift)).mul_(_signed(factor))
    return state.bitwise_xor_(_shift_right(state, 31))


def uniform(seed: int, shape: Sequence[int], device: torch.device | str) -> Tensor:
    """Draw float32 numbers from [0, 1), multiples of 2^-24."""
    return _unit(bits(seed, math.prod(shape), device)).view(*shape)


def uniform_rows(seeds: Tensor, count: int) -> Tensor:
    """Draw (N, count) float32 numbers from [0, 1): row i is ``uniform(seeds[i], (count,))``.

    Args:
        seeds: (N,) int64.
    """
    steps = torch.arange(1, count + 1, device=seeds.device).mul_(_signed(INCREMENT))
    return _unit(_mixed(steps + seeds.unsqueeze(1)))


def normal(seed: int, shape: Sequence[int], device: torch.device | str) -> Tensor:
    """Draw float32 numbers from N(0, 1) by the Box-Muller transform.

    Each pair takes 32 bits for its radius (at most 6.7) and 32 for its angle.
    """
    count = math.prod(shape)
    drawn = bits(seed, (count + 1) // 2, device)
    radius = _shift_right(drawn, 32).add_(1).float().mul_(2.0**-32).log_().mul_(-2.0).sqrt_()
    angle = drawn.bitwise_and_(0xFFFFFFFF).float().mul_(2.0 * math.pi * 2.0**-32)
    return torch.cat([radius * angle.cos(), radius.mul_(angle.sin_())])[:count].view(*shape)


def _unit(words: Tensor) -> Tensor:
    return _shift_right(words, 40).float().mul_(2.0**-24)


def _shift_right(words: Tensor, by: int) -> Tensor:
    """Logical shift: torch's own repeats the sign bit."""
    return (words >> by).bitwise_and_((1 << (64 - by)) - 1)


def _signed(word: int) -> int:
    word %= WORD
    return word - WORD if word >= WORD // 2 else word
