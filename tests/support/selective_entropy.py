"""The objective of SaEI's attack, written out: what the attack computes without the full logits."""

from __future__ import annotations

import torch
from torch import Tensor

from verl_plugins.methods.saei.maths import SaEIConfig, select_tokens, token_entropy


def selective_entropy(
    logits: Tensor, response_mask: Tensor, config: SaEIConfig, noise: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean entropy of each response's selected tokens: the objective of SaEI's attack, on full logits.

    Args:
        logits: (B, T, V) floating point, at the sampling temperature; ``-inf`` forbids a token.
        response_mask: (B, T) 0/1 or bool.

    Returns:
        (B,) float32 in nats, with gradient: the mean entropy of each response's kept tokens, 0 where none is valid; and
        (B, T) bool, the kept tokens.
    """
    entropy = token_entropy(logits)
    kept = select_tokens(entropy, response_mask, config, noise)
    return torch.where(kept, entropy, 0.0).sum(dim=1) / kept.sum(dim=1).clamp_min(1), kept
