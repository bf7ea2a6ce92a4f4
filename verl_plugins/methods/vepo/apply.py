"""VEPO on a global batch, and the metrics ``vepo/*`` of its selection."""

from __future__ import annotations

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.token_selection import top_tokens
from verl_plugins.methods.vepo.maths import KEY, VEPOConfig, token_scores, token_weights
from verl_plugins.methods.vepo.scores import min_max


def select(batch: AdvantageBatch, config: VEPOConfig) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Compute weights and scores (B, T) of the tokens of a global batch, and the metrics ``vepo/*``.

    Rows without an image (JSD = 0 and H(Q) = H(P) at every token) are selected by entropy alone, and counted.

    Raises:
        ValueError: the batch lacks a signal that the score needs.
    """
    mask, (entropy,) = batch.response_mask.bool(), batch.signals(KEY, "entropy")
    jsd, perturbed = torch.zeros_like(entropy), entropy
    if config.needs_counterfactual:
        jsd, perturbed = batch.signals(KEY, "jsd", "perturbed_entropy")
    scores = token_scores(jsd, entropy, perturbed, mask, config, batch.columns.get("kl"))
    without_image = ~(((jsd != 0) | (perturbed != entropy)) & mask).any(dim=1, keepdim=True)
    scores = torch.where(without_image, min_max(entropy, mask), scores)
    weights = token_weights(scores, mask, config, batch.loss_agg_mode)
    with_image = mask & ~without_image if config.needs_counterfactual else None
    metrics = selection_metrics(mask, weights > 0, scores, entropy, jsd, perturbed, with_image, config.fraction)
    return weights, scores, metrics


def apply(batch: AdvantageBatch, config: VEPOConfig) -> tuple[Tensor, dict[str, float]]:
    """Weight the advantages of a global batch; returns advantages (B, T) and the metrics ``vepo/*``."""
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
    with_image: Tensor | None,
    fraction: float,
) -> dict[str, float]:
    """Average the signals over the valid tokens of a batch; a mean over no tokens is left out.

    Args:
        mask, kept: (B, T) bool, valid tokens and those with a weight.
        scores, entropy, jsd, perturbed_entropy: (B, T) float.
        with_image: (B, T) bool, valid tokens of rows with an image; None where no counterfactual was computed.
        fraction: share of tokens that entropy alone, or JSD alone, would select, for comparison.

    Returns:
        Metrics by name. ``vision_missed_by_entropy`` is the share of the tokens with the highest JSD that a selection
        by entropy alone would drop, ``vision_kept`` the share of them that was kept, and ``kept_missed_by_entropy`` the
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
    if with_image is not None:
        gap = perturbed_entropy - entropy
        by_vision = top_tokens(jsd, with_image, fraction)
        means |= {
            "jsd": (jsd, with_image),
            "jsd_kept": (jsd, with_image & kept),
            "jsd_dropped": (jsd, with_image & dropped),
            "perturbed_entropy": (perturbed_entropy, with_image),
            "entropy_gap": (gap.abs(), with_image),
            "entropy_rise": (gap, with_image),
            "vision_kept": (kept, by_vision),
            "vision_missed_by_entropy": (~by_entropy, by_vision),
            "rows_without_image": (~with_image.any(dim=1), mask.any(dim=1)),
        }
    return {
        f"vepo/{name}": value[where].double().mean().item() for name, (value, where) in means.items() if where.any()
    }
