"""SaEI on a global batch: the metrics ``saei/*`` of clean and adversarial responses. The advantages are GRPO's."""

from __future__ import annotations

import torch
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch, group_std, one_row_per_group
from verl_plugins.methods.saei.maths import KEY, SaEIConfig
from verl_plugins.methods.saei.second_sampling import ADVERSARIAL


def apply(batch: AdvantageBatch, config: SaEIConfig) -> tuple[Tensor, dict[str, float]]:
    """Return the advantages (B, T) unchanged, and metrics over clean and adversarial responses.

    Raises:
        ValueError: the batch does not say which responses were sampled on an adversarial image.
    """
    (adversarial,) = batch.signals(KEY, ADVERSARIAL)
    mask = batch.response_mask.bool()
    real = mask.any(dim=1)  # padding rows have no valid token
    metrics = {"saei/adversarial_responses": adversarial[real].double().mean().item()}
    for name, rows in (("clean", real & ~adversarial), ("adversarial", real & adversarial)):
        if not rows.any():
            continue
        tokens = mask & rows.unsqueeze(1)
        if batch.entropy is not None:
            metrics[f"saei/entropy_{name}"] = batch.entropy[tokens].double().mean().item()
        metrics[f"saei/reward_{name}"] = batch.rewards[rows].double().mean().item()
        metrics[f"saei/mixed_groups_{name}"] = _mixed(batch.rewards, batch.groups, rows)
        if batch.rollout_log_probs is not None:
            metrics[f"saei/self_information_{name}"] = -batch.rollout_log_probs[tokens].double().mean().item()
            gap = (batch.old_log_probs - batch.rollout_log_probs)[tokens].abs()
            metrics[f"saei/log_prob_mismatch_{name}"] = gap.double().mean().item()
    return batch.advantages, metrics


def _mixed(rewards: Tensor, groups: Tensor, rows: Tensor) -> float:
    """Share of the groups whose rewards over ``rows`` ((B,) bool) differ; only these have non-zero advantages."""
    rewards, groups = rewards[rows], groups[rows]
    first = one_row_per_group(groups, torch.ones_like(groups, dtype=torch.bool))
    return (group_std(rewards, groups) > 0)[first].double().mean().item()
