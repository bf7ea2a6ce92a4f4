"""VEPO on a global batch, and whether its selection is sane: the metrics ``vepo/*``."""

from __future__ import annotations

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.vepo.maths import KEY, VEPOConfig, token_scores, token_weights
from verl_plugins.methods.vepo.scores import min_max, top_tokens


def select(batch: AdvantageBatch, config: VEPOConfig) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Weights and scores (B, T) of the tokens of a global batch, and the metrics ``vepo/*``.

    Rows without an image (JSD = 0 and H(Q) = H(P) throughout) are selected by entropy alone, and counted.

    Raises:
        ValueError: the batch lacks a signal that the score needs.
    """
    mask, (entropy,) = batch.response_mask.bool(), batch.signals(KEY, "entropy")
    jsd, perturbed = torch.zeros_like(entropy), entropy
    if config.needs_counterfactual:
        jsd, perturbed = batch.signals(KEY, "jsd", "perturbed_entropy")
    scores = token_scores(jsd, entropy, perturbed, mask, config, batch.columns.get("kl"))
    blind = ~(((jsd != 0) | (perturbed != entropy)) & mask).any(dim=1, keepdim=True)
    scores = torch.where(blind, min_max(entropy, mask), scores)
    weights = token_weights(scores, mask, config)
    seeing = mask & ~blind if config.needs_counterfactual else None
    metrics = selection_metrics(mask, weights > 0, scores, entropy, jsd, perturbed, seeing, config.fraction)
    return weights, scores, metrics


def apply(batch: AdvantageBatch, config: VEPOConfig) -> tuple[Tensor, dict[str, float]]:
    """Weight the advantages of a global batch (``select``); advantages (B, T) and the metrics ``vepo/*``."""
    if config.keeps_all:
        return batch.advantages, {}
    weights, _, metrics = select(batch, config)
    return batch.advantages * weights.to(batch.advantages.dtype), metrics


def selection_metrics(
    mask: Tensor,
    kept: Tensor,
    scores: Tensor,
    entropy: Tensor,
    jsd: Tensor,
    perturbed_entropy: Tensor,
    seeing: Tensor | None,
    fraction: float,
) -> dict[str, float]:
    """Means over the valid tokens of a batch; a mean over no tokens is left out.

    Args:
        mask, kept: (B, T) bool, valid tokens and those with a weight.
        scores, entropy, jsd, perturbed_entropy: (B, T) float.
        seeing: (B, T) bool, valid tokens of rows with an image; None where no counterfactual was computed.
        fraction: of the tokens that entropy alone, or JSD alone, would select, for comparison.

    Returns:
        Among the names, ``vision_missed_by_entropy`` is the share of the tokens with the highest JSD that selecting by
        entropy alone would drop, ``vision_kept`` the share of them that was kept, and ``kept_missed_by_entropy`` the
        share of the kept tokens that entropy alone would drop.
    """
    dropped = mask & ~kept
    by_entropy = top_tokens(entropy, mask, fraction)
    means = {
        "policy_entropy": (entropy, mask),
        "entropy_kept": (entropy, kept),
        "entropy_dropped": (entropy, dropped),
        "selected_tokens": (kept, mask),
        "score_kept": (scores, kept),
        "score_dropped": (scores, dropped),
        "kept_missed_by_entropy": (~by_entropy, kept),
    }
    if seeing is not None:
        gap = perturbed_entropy - entropy
        by_vision = top_tokens(jsd, seeing, fraction)
        means |= {
            "jsd": (jsd, seeing),
            "jsd_kept": (jsd, seeing & kept),
            "jsd_dropped": (jsd, seeing & dropped),
            "perturbed_entropy": (perturbed_entropy, seeing),
            "entropy_gap": (gap.abs(), seeing),
            "entropy_rise": (gap, seeing),
            "vision_kept": (kept, by_vision),
            "vision_missed_by_entropy": (~by_entropy, by_vision),
            "rows_without_image": (~seeing.any(dim=1), mask.any(dim=1)),
        }
    return {
        f"vepo/{name}": value[where].double().mean().item() for name, (value, where) in means.items() if where.any()
    }
