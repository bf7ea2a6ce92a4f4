"""What a step's groups of responses have to learn from: the metrics ``groups/*``, for every method and for GRPO."""

from __future__ import annotations

from torch import Tensor

from verl_plugins.methods.batch import group_std, one_row_per_group


def group_metrics(rewards: Tensor, groups: Tensor, real: Tensor) -> dict[str, float]:
    """Statistics over the groups of a global batch.

    Args:
        rewards: (B,) float, total reward of each response.
        groups: (B,) int64, group index of each response.
        real: (B,) bool, responses that are not fillers of the batch.

    Returns:
        ``groups/size`` (responses), ``groups/reward_std`` (mean over groups, unbiased) and ``groups/zero_variance``,
        the share of groups whose rewards are all equal, singletons included: they have no advantage. Empty for no
        response.
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
