"""Metrics of a step that every method and GRPO share: ``groups/*`` and ``reward/<data source>/*``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from numbers import Real
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from verl_plugins.methods.batch import group_std, one_row_per_group

FAILURES = ("no_answer", "bad_format", "bad_gold", "timeout", "error")
"""Values of a reward's ``status`` other than ``ok``."""


def step_metrics(
    response_mask: Tensor,
    rewards: Tensor,
    groups: Tensor,
    infos: Sequence[Mapping[str, Any]],
    sources: Sequence[str],
    last: Tensor,
) -> dict[str, float]:
    """Compute the metrics of a global batch: each response once, without the padding rows.

    Args:
        response_mask: (B, T) 0/1; padding rows have no valid token.
        rewards: (B,) float.
        groups: (B,) int64.
        infos: values that the reward function returned for each row.
        sources: ``data_source`` of each row.
        last: (B,) int64, see ``verl_plugins.training.rows.last_outputs``.
    """
    real = real_responses(response_mask, last)
    rows = real.nonzero().flatten().tolist()
    scored = reward_metrics([infos[row] for row in rows], [str(sources[row]) for row in rows])
    return {**scored, **group_metrics(rewards, groups, real)}


def real_responses(response_mask: Tensor, last: Tensor) -> Tensor:
    """Select one row of each response, its last output, and no padding row: (B,) bool; see ``step_metrics``."""
    return response_mask.bool().any(dim=1) & (last == torch.arange(len(last)))


def group_metrics(rewards: Tensor, groups: Tensor, real: Tensor) -> dict[str, float]:
    """Statistics over the groups of a global batch.

    Args:
        rewards: (B,) float, total reward of each response.
        groups: (B,) int64, group index of each response.
        real: (B,) bool, False for padding rows.

    Returns:
        ``groups/size`` (responses), ``groups/reward_std`` (mean over groups, unbiased) and ``groups/zero_variance``,
        the share of groups whose rewards are all equal, singletons included: they have no advantage. Empty for an empty
        batch.
    """
    rewards, groups = rewards[real], groups[real]
    if not len(groups):
        return {}
    std = group_std(rewards, groups)[one_row_per_group(groups, groups >= 0)]
    return {
        "groups/size": len(groups) / len(std),
        "groups/reward_std": std.nan_to_num().mean().item(),
        "groups/zero_variance": (~(std > 0)).double().mean().item(),
    }


def reward_metrics(infos: Sequence[Mapping[str, Any]], data_sources: Sequence[str]) -> dict[str, float]:
    """Share of correct responses, and number of responses that could not be scored, by data source.

    Args:
        infos: values that the reward function returned for each response.
        data_sources: data source of each response.

    Returns:
        For every data source whose reward returns a ``status``: ``reward/<data source>/accuracy``, the mean of the
        reward's ``accuracy``, which unlike the score does not depend on the format (left out where a response has no
        number); and ``reward/<data source>/<status>``, the number of responses with each status of ``FAILURES``.
    """
    by_source = defaultdict(list)
    for source, info in zip(data_sources, infos, strict=True):
        if "status" in info:
            by_source[str(source)].append(info)
    metrics: dict[str, float] = {}
    for source, rows in sorted(by_source.items()):
        accuracies = [row["accuracy"] for row in rows if isinstance(row.get("accuracy"), Real)]
        if len(accuracies) == len(rows):
            metrics[f"reward/{source}/accuracy"] = fmean(accuracies)
        metrics |= {f"reward/{source}/{status}": sum(row["status"] == status for row in rows) for status in FAILURES}
    return metrics
