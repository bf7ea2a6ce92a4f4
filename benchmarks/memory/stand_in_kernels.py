"""Autograd functions that save and return what GPU kernels do, for the meta device: nothing is computed."""

from __future__ import annotations

import torch


class FlashAttention(torch.autograd.Function):
    """flash-attn's attention on queries, keys and values of shape (tokens, heads, head size)."""

    @staticmethod
    def forward(ctx, queries, keys, values):
        output = torch.empty_like(queries)
        log_sums = queries.new_empty(queries.shape[1], queries.shape[0], dtype=torch.float32)
        ctx.save_for_backward(queries, keys, values, output, log_sums)
        return output

    @staticmethod
    def backward(ctx, *_):
        return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


class CrossEntropy(torch.autograd.Function):
    """flash-attn's cross-entropy on (tokens, vocabulary) logits."""

    @staticmethod
    def forward(ctx, logits, is_in_place):
        ctx.save_for_backward(logits)
        ctx.is_in_place = is_in_place
        return logits.new_empty(logits.shape[0], dtype=torch.float32)

    @staticmethod
    def backward(ctx, *_):
        (logits,) = ctx.saved_tensors
        return (logits if ctx.is_in_place else torch.empty_like(logits)), None


class CompiledEntropy(torch.autograd.Function):
    """torch.compile's code for verl's ``entropy_from_logits``, on (tokens, vocabulary) logits."""

    @staticmethod
    def forward(ctx, logits):
        ctx.save_for_backward(logits)
        return logits.new_empty(logits.shape[0], dtype=torch.float32)

    @staticmethod
    def backward(ctx, *_):
        (logits,) = ctx.saved_tensors
        return torch.empty_like(logits)
