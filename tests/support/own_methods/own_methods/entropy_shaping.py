"""Entropy shaping: more credit for the tokens at which the policy was uncertain.

"Reasoning with Exploration: An Entropy Perspective", arXiv 2506.14758.

    A'_t = A_t + min(alpha H_t, |A_t| / kappa)        H_t: entropy of the old policy, nats, detached

The cap keeps the sign of every advantage (kappa > 1) and leaves tokens without an advantage unchanged. alpha = 0 is
GRPO, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.knobs import require
from verl_plugins.methods.method import Method

KEY = "algorithm.entropy_shaping"


@dataclass(frozen=True)
class EntropyShapingConfig:
    """Settings of entropy shaping.

    Args:
        alpha: added advantage per nat of entropy.
        kappa: at most 1 / kappa of an advantage is added to it.
    """

    alpha: float = 0.4
    kappa: float = 2.0

    def __post_init__(self) -> None:
        require(KEY, self, "alpha", "a number >= 0 (0 is GRPO)", lambda alpha: alpha >= 0)
        require(KEY, self, "kappa", "a number > 1", lambda kappa: kappa > 1)


def apply(batch: AdvantageBatch, config: EntropyShapingConfig) -> tuple[Tensor, dict[str, float]]:
    """Return the advantages (B, T) of a global batch, and the metrics ``entropy_shaping/*``."""
    (entropy,) = batch.signals(KEY, "entropy")
    mask, advantages = batch.response_mask.bool(), batch.advantages
    bonus, cap = config.alpha * entropy.to(advantages.dtype), advantages.abs() / config.kappa
    added = torch.where(mask, torch.minimum(bonus, cap), 0.0)
    if not mask.any():
        return advantages, {}
    return advantages + added, {
        "entropy_shaping/added": added[mask].double().mean().item(),
        "entropy_shaping/capped_tokens": (bonus > cap)[mask].double().mean().item(),
    }


METHOD = Method(config=EntropyShapingConfig, apply=apply, needs_entropy=lambda config: True, weighs_tokens=True)
