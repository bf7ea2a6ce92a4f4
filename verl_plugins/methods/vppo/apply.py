"""VPPO on a global batch, and the metrics ``vppo/*``."""

from __future__ import annotations

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.vppo.maths import KEY, VPPOConfig, rows_with_image, select_tokens, trajectory_weights


def apply(batch: AdvantageBatch, config: VPPOConfig) -> tuple[Tensor, dict[str, float]]:
    """Mask and weight the advantages of a global batch; returns advantages (B, T) and the metrics ``vppo/*``.

    Raises:
        ValueError: the batch lacks the divergence ``kl``.
    """
    if config.is_grpo:
        return batch.advantages, {}
    kl, mask, kept, weights = _select(batch, config)
    advantages = batch.advantages * (kept * weights.unsqueeze(1)).to(batch.advantages.dtype)
    return advantages, vppo_metrics(kl, mask, kept, weights)


def token_signals(batch: AdvantageBatch, config: VPPOConfig) -> dict[str, Tensor]:
    """Return what the report shows of each token, (B, T) each.

    ``kl`` in nats; ``score``, the same divided by the response's largest; ``kept``, the weight of a kept token's
    advantage, else 0.
    """
    kl, mask, kept, weights = _select(batch, config)
    valid = kl.masked_fill(~mask, 0.0)
    largest = valid.amax(dim=1, keepdim=True).clamp_min(torch.finfo(kl.dtype).tiny)
    return {"score": valid / largest, "kl": kl, "kept": kept * weights.unsqueeze(1)}


def _select(batch: AdvantageBatch, config: VPPOConfig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the divergences (B, T), the mask and the kept tokens (B, T) bool, and the responses' weights (B,)."""
    (kl,) = batch.signals(KEY, "kl")
    mask = batch.response_mask.bool()
    return kl, mask, select_tokens(kl, mask, config), trajectory_weights(kl, mask, config)


def vppo_metrics(kl: Tensor, mask: Tensor, kept: Tensor, weights: Tensor) -> dict[str, float]:
    """Average over the valid tokens and rows of a batch; a mean over none is left out.

    Args:
        kl: (B, T) float, nats.
        mask, kept: (B, T) bool, valid tokens and those that keep their advantage.
        weights: (B,) float, weights of the responses.

    Returns:
        Metrics by name. The divergences and the weights are those of rows with an image; ``vppo/kl`` is 0 if there are
        none, as where the perturbation changes nothing.
    """
    with_image = rows_with_image(kl, mask)
    seen = mask & with_image.unsqueeze(1)
    means = {
        "kl": (kl, seen if seen.any() else mask),
        "kl_kept": (kl, seen & kept),
        "kl_dropped": (kl, seen & ~kept),
        "selected_tokens": (kept, mask),
        "trajectory_weight/mean": (weights, with_image),
        "rows_without_image": (~with_image, mask.any(dim=1)),
    }
    metrics = {
        f"vppo/{name}": values[where].double().mean().item() for name, (values, where) in means.items() if where.any()
    }
    if with_image.any():
        metrics["vppo/trajectory_weight/min"] = weights[with_image].min().item()
        metrics["vppo/trajectory_weight/max"] = weights[with_image].max().item()
    return metrics
