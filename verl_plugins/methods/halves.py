"""Metrics of the two halves of a step's responses, for methods that sample one of them in another way. Torch only."""

from __future__ import annotations

from torch import Tensor, ones_like

from verl_plugins.methods.batch import AdvantageBatch, group_std, one_row_per_group


def metrics_of_halves(batch: AdvantageBatch, marked: Tensor, method: str, name: str) -> dict[str, float]:
    """Return ``<method>/<name>_responses``, and metrics of the unmarked ("clean") and of the marked half.

    A mean over nothing is left out; the padding rows of a batch are not counted.

    Args:
        batch: the global batch.
        marked: (B,) bool, responses that were sampled in the other way.
        method: prefix of the metrics.
        name: name of the marked half.

    Returns:
        Share of marked responses; and for each half the mean reward, the share of groups whose rewards differ within
        the half, and the policy's entropy, if it was computed. With the rollout engine's log-probabilities also the
        mean of their negative and their mean absolute difference to the actor's, in nats.
    """
    mask = batch.response_mask.bool()
    real = mask.any(dim=1)  # padding rows have no valid token
    if not real.any():
        return {}
    metrics = {f"{method}/{name}_responses": marked[real].double().mean().item()}
    for half, rows in (("clean", real & ~marked), (name, real & marked)):
        if not rows.any():
            continue
        tokens = mask & rows.unsqueeze(1)
        if batch.entropy is not None:
            metrics[f"{method}/entropy_{half}"] = batch.entropy[tokens].double().mean().item()
        metrics[f"{method}/reward_{half}"] = batch.rewards[rows].double().mean().item()
        metrics[f"{method}/mixed_groups_{half}"] = _mixed(batch.rewards, batch.groups, rows)
        if batch.rollout_log_probs is not None:
            metrics[f"{method}/self_information_{half}"] = -batch.rollout_log_probs[tokens].double().mean().item()
            gap = (batch.old_log_probs - batch.rollout_log_probs)[tokens].abs()
            metrics[f"{method}/log_prob_mismatch_{half}"] = gap.double().mean().item()
    return metrics


def _mixed(rewards: Tensor, groups: Tensor, rows: Tensor) -> float:
    """Share of the groups whose rewards over ``rows`` ((B,) bool) differ; only these have non-zero advantages."""
    rewards, groups = rewards[rows], groups[rows]
    first = one_row_per_group(groups, ones_like(groups).bool())
    return (group_std(rewards, groups) > 0)[first].double().mean().item()
