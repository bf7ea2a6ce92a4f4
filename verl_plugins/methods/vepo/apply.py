"""VEPO on a global batch, and the metrics ``vepo/*`` of its selection."""

from __future__ import annotations

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.token_selection import top_tokens
from verl_plugins.methods.vepo.maths import KEY, VEPOConfig, token_scores, token_weights
from verl_plugins.methods.vepo.scores import min_max
from verl_plugins.vision.noise import uniform_rows

SELECTION_SEED = "selection_seed"
"""Column (B,) int64 that seeds each response's random numbers, read with ``select="random"``."""


def select(batch: AdvantageBatch, config: VEPOConfig) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Compute weights and scores (B, T) of the tokens of a global batch, and the metrics ``vepo/*``.

    Rows without an image (JSD = 0 and H(Q) = H(P) at every token) are selected by entropy alone, and counted. The
    scores of ``select="random"`` are uniform random numbers.

    Raises:
        ValueError: the batch lacks a signal that the selection needs.
    """
    mask = batch.response_mask.bool()
    if config.select == "random":
        (seeds,) = batch.signals(KEY, SELECTION_SEED)
        scores = uniform_rows(seeds, mask.shape[1]).masked_fill(~mask, 0.0)
        weights = token_weights(scores, mask, config, batch.loss_agg_mode)
        kept = weights > config.unselected_weight
        return weights, scores, _means(selection_means(mask, kept, batch.entropy, config))
    (entropy,) = batch.signals(KEY, "entropy")
    jsd, perturbed = torch.zeros_like(entropy), entropy
    if config.needs_counterfactual:
        jsd, perturbed = batch.signals(KEY, "jsd", "perturbed_entropy")
    scores = token_scores(jsd, entropy, perturbed, mask, config, batch.columns.get("kl"))
    without_image = ~(((jsd != 0) | (perturbed != entropy)) & mask).any(dim=1, keepdim=True)
    scores = torch.where(without_image, min_max(entropy, mask, config.scope), scores)
    weights = token_weights(scores, mask, config, batch.loss_agg_mode)
    kept = weights > config.unselected_weight
    means = selection_means(mask, kept, entropy, config)
    means |= {"score_kept": (scores, kept), "score_dropped": (scores, mask & ~kept)}
    if config.needs_counterfactual:
        means |= vision_means(mask, kept, entropy, jsd, perturbed, without_image, config)
    return weights, scores, _means(means)


def apply(batch: AdvantageBatch, config: VEPOConfig) -> tuple[Tensor, dict[str, float]]:
    """Weight the advantages of a global batch; returns advantages (B, T) and the metrics ``vepo/*``."""
    if config.keeps_all:
        return batch.advantages, {}
    weights, _, metrics = select(batch, config)
    return batch.advantages * weights.to(batch.advantages.dtype), metrics


Means = dict[str, tuple[Tensor, Tensor]]
"""Values (B, T) or (B,) to average, and the bool mask of where to, by the metric's name."""


def selection_means(mask: Tensor, kept: Tensor, entropy: Tensor | None, config: VEPOConfig) -> Means:
    """Collect what is averaged over the tokens of a batch, kept and dropped.

    ``kept_missed_by_entropy`` is the share of the kept tokens that entropy alone would drop, and
    ``rows_without_selection`` the share of responses of which no token was kept.

    Args:
        mask, kept: (B, T) bool, valid tokens and those that are kept (with ``boost``: that weigh more).
        entropy: (B, T) float, nats; None where it was not computed.
    """
    means: Means = {"selected_tokens": (kept, mask)}
    if config.scope == "batch":
        means["rows_without_selection"] = (~kept.any(dim=1), mask.any(dim=1))
    if entropy is not None:
        means["policy_entropy"] = (entropy, mask)
        means["entropy_kept"] = (entropy, kept)
        means["entropy_dropped"] = (entropy, mask & ~kept)
        means["kept_missed_by_entropy"] = (~top_tokens(entropy, mask, config.fraction, config.scope), kept)
    return means


def vision_means(
    mask: Tensor,
    kept: Tensor,
    entropy: Tensor,
    jsd: Tensor,
    perturbed_entropy: Tensor,
    without_image: Tensor,
    config: VEPOConfig,
) -> Means:
    """Collect what is averaged over the tokens of the responses to an image; if there are none, the JSD is 0.

    ``vision_missed_by_entropy`` is the share of the tokens with the highest JSD that a selection by entropy alone would
    drop, ``vision_kept`` the share of them that was kept.

    Args:
        mask, kept: (B, T) bool, see ``selection_means``.
        entropy, jsd, perturbed_entropy: (B, T) float, nats.
        without_image: (B, 1) bool.
    """
    with_image, gap = mask & ~without_image, perturbed_entropy - entropy
    by_entropy = top_tokens(entropy, mask, config.fraction, config.scope)
    compared = with_image if with_image.any() else mask  # a perturbation that changes nothing is a JSD of 0, not none
    by_vision = top_tokens(jsd, with_image, config.fraction, config.scope)
    return {
        "jsd": (jsd, compared),
        "jsd_kept": (jsd, with_image & kept),
        "jsd_dropped": (jsd, with_image & ~kept),
        "perturbed_entropy": (perturbed_entropy, with_image),
        "entropy_gap": (gap.abs(), with_image),
        "entropy_rise": (gap, with_image),
        "vision_kept": (kept, by_vision),
        "vision_missed_by_entropy": (~by_entropy, by_vision),
        "rows_without_image": (without_image.squeeze(1), mask.any(dim=1)),
    }


def _means(means: Means) -> dict[str, float]:
    """Average; a mean over nothing is left out."""
    return {
        f"vepo/{name}": value[where].double().mean().item() for name, (value, where) in means.items() if where.any()
    }
