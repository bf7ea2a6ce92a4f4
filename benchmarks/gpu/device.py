"""Device that a stage measures: verl's platform, moving of inputs as in FSDP2, time and memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from verl.utils import device as verl_device

GIB = 2**30


@contextmanager
def verl_works_on(device: str) -> Iterator[None]:
    """Let verl and this package put their tensors on ``device``, "cuda" or "cpu"."""
    module, name = (torch.cuda, 0) if device == "cuda" else (torch.cpu, "cpu")
    platform = SimpleNamespace(device_name=device, device_module=module, current_device=lambda: name)
    with mock.patch.object(verl_device, "get_platform", lambda: platform):
        yield


def move_inputs(module: nn.Module, device: str, dtype: torch.dtype) -> None:
    """Let ``module`` move its inputs to ``device`` and cast floating-point ones, as FSDP2's root module does."""

    def move(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(device, dtype if value.is_floating_point() else None)

    def before(_, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return tuple(map(move, args)), {name: move(value) for name, value in kwargs.items()}

    module.register_forward_pre_hook(before, with_kwargs=True)


@dataclass
class Cost:
    """Time and memory of a block of code.

    Args:
        seconds: until the device has finished its work.
        peak_bytes: peak of the device's tensors above their bytes at the start; None on a CPU.
    """

    seconds: float = 0.0
    peak_bytes: int | None = None


@contextmanager
def measured(device: str) -> Iterator[Cost]:
    """Measure the block; its cost is filled in at the end."""
    cost = Cost()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    before = torch.cuda.memory_allocated() if device == "cuda" else 0
    start = time.perf_counter()
    yield cost
    if device == "cuda":
        torch.cuda.synchronize()
        cost.peak_bytes = torch.cuda.max_memory_allocated() - before
    cost.seconds = time.perf_counter() - start
