"""Selection of a response's tokens by a score."""

from __future__ import annotations

import torch
from torch import Tensor


def top_tokens(values: Tensor, mask: Tensor, fraction: float) -> Tensor:
    """Select the ceil(fraction * valid) tokens of each row with the highest values.

    Args:
        values: (B, T) float; values outside the mask are ignored. Of equal values, the earlier token is kept.
        mask: (B, T) bool.
        fraction: in (0, 1].

    Returns:
        (B, T) bool, False outside the mask.
    """
    order = values.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(mask.shape[1], device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    kept = (fraction * mask.sum(dim=1, keepdim=True).double() - 1e-9).ceil()  # 0.07 * 100 is 7.000000000000001
    return (rank < kept) & mask
