"""CUDA's autocast for the functions that verl's entropy calls, on devices whose own autocast has other rules."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class CudaAutocast(TorchFunctionMode):
    """Computes softmax, logsumexp and sum in float32, as ``torch.autocast("cuda", torch.bfloat16)`` does.

    ``sum`` and ``softmax`` get the dtype as an argument, ``logsumexp`` a converted input. The rest of Qwen2.5-VL has
    bfloat16 weights, and either converts explicitly or does not call the functions that autocast computes in float32.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.bfloat16:
            if func in (torch.sum, torch.Tensor.sum, nn.functional.softmax):
                kwargs = {**kwargs, "dtype": torch.float32}
            elif func is torch.logsumexp:
                args = (args[0].float(), *args[1:])
        return func(*args, **kwargs)


def under_cuda_autocast(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Wrap a function that the backward calls again: checkpointing restores autocast, but not ``CudaAutocast``."""

    def call(logits: Tensor) -> Tensor:
        with CudaAutocast():
            return function(logits)

    return call
