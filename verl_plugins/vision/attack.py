"""One step of projected gradient ascent on an 8-bit picture (SaEI, arXiv 2512.10414). Whole levels: nothing rounds."""

from __future__ import annotations

import torch
from torch import Tensor


def pgd_step(pixels: Tensor, gradient: Tensor, clean: Tensor, alpha: int, epsilon: int) -> Tensor:
    """Move each pixel by ``alpha`` levels in the direction that raises the objective.

    Args:
        pixels: (3, H, W) uint8, the picture as it is.
        gradient: (3, H, W) float, of the objective with respect to the pixels. Only its sign counts.
        clean: (3, H, W) uint8, the centre of the ball.
        alpha: size of the step, in levels (1/255 of the range [0, 1]).
        epsilon: radius of the L-infinity ball around ``clean``, in levels.

    Returns:
        (3, H, W) uint8, within ``epsilon`` of ``clean`` and within [0, 255]. A pixel without gradient stays.
    """
    clean = clean.to(torch.int16)
    moved = pixels.to(torch.int16) + alpha * gradient.sign().to(torch.int16)
    return moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 255).to(torch.uint8)
