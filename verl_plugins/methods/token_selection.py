"""Selection of tokens by a score."""

from __future__ import annotations

import torch
from torch import Tensor

SCOPES = ("response", "batch")
"""Tokens that are scaled and ranked together: those of each response (row), or all tokens of the global batch."""


def top_tokens(values: Tensor, mask: Tensor, fraction: float, scope: str = "response") -> Tensor:
    """Select the ceil(fraction * valid) tokens of each row, or of the batch, with the highest values.

    Args:
        values: (B, T) float; values outside the mask are ignored. Of equal values, the earlier token is kept.
        mask: (B, T) bool.
        fraction: in (0, 1].
        scope: one of ``SCOPES``.

    Returns:
        (B, T) bool, False outside the mask.
    """
    if scope == "batch":
        return top_tokens(values.reshape(1, -1), mask.reshape(1, -1), fraction).view_as(mask)
    order = values.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(mask.shape[1], device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    kept = (fraction * mask.sum(dim=1, keepdim=True).double() - 1e-9).ceil()  # 0.07 * 100 is 7.000000000000001
    return (rank < kept) & mask
