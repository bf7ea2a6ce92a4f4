"""VEPO's token scores: the authors' variants A to H (arXiv 2606.03937) and single signals."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def _noisy_or(j: Tensor, gap: Tensor, alpha: float) -> Tensor:
    return 1 - (1 - j) ** alpha * (1 - gap) ** (1 - alpha)


# Arguments: divergence j, entropy h, entropy gap |gap|, its rise up = max(gap, 0), each scaled to [0, 1], and alpha.
# H is D with KL(P || Q) in place of j. jsd and gap are E with alpha = 1 and 0.
SCORES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]] = {
    "A": lambda j, h, gap, up, alpha: 1 - (1 - j) * (1 - h) * (1 - up),
    "B": lambda j, h, gap, up, alpha: (1 - (1 - j) * (1 - h)) * up,
    "C": lambda j, h, gap, up, alpha: _noisy_or(j, up, alpha) * h,
    "D": lambda j, h, gap, up, alpha: _noisy_or(j, gap, alpha) * h,
    "E": lambda j, h, gap, up, alpha: _noisy_or(j, gap, alpha),
    "F": lambda j, h, gap, up, alpha: (alpha * j + (1 - alpha) * gap) * h,
    "G": lambda j, h, gap, up, alpha: j * gap * h,
    "H": lambda j, h, gap, up, alpha: _noisy_or(j, gap, alpha) * h,
    "entropy": lambda j, h, gap, up, alpha: h,
    "jsd": lambda j, h, gap, up, alpha: j,
    "gap": lambda j, h, gap, up, alpha: gap,
}


def min_max(values: Tensor, mask: Tensor, scope: str = "response") -> Tensor:
    """Scale the valid values (B, T) of each row, or of the batch, to [0, 1]; constant values become 0. ``mask``: (B, T)
    bool."""
    dims = (0, 1) if scope == "batch" else (1,)
    low = values.masked_fill(~mask, torch.inf).amin(dim=dims, keepdim=True)
    high = values.masked_fill(~mask, -torch.inf).amax(dim=dims, keepdim=True)
    return ((values - low) / (high - low).clamp_min(1e-8)).masked_fill(~mask, 0.0)
