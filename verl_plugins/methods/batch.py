"""What every method gets to see of one training batch. Torch only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdvantageBatch:
    """One global batch after verl has computed its advantages. B responses, T response tokens.

    verl's forward returns the entropy, and where it does not pack rows the log-probabilities too, in the precision that
    it computes in: what is bf16 or fp16 becomes float32 here, so that thresholds, quantiles and means are taken in it.

    Args:
        advantages: (B, T) float, broadcast over the tokens of a response and zero outside ``response_mask``.
        response_mask: (B, T) 0/1.
        old_log_probs: (B, T) float, nats, log-probabilities of the sampled tokens under the old policy.
        rewards: (B,) float, total reward of each response.
        groups: (B,) int64 in [0, number of groups), equal for the responses of one prompt (``uid``).
        reward_components: named parts of the reward, each (B,) float, e.g. ``{"iou": ...}``.
        entropy: (B, T) float, nats, full-vocabulary entropy of the old policy, if it was computed.
        jsd, kl, perturbed_entropy: (B, T) float, nats, of the old policy given the image against the old policy given
            a perturbed one (``verl_plugins.kernels.divergence``), if they were computed.
        adversarial: (B,) bool, responses that were sampled on an adversarial image, if any were.
        rollout_log_probs: (B, T) float, nats, of the sampled tokens in the rollout engine, if it was asked for them.
    """

    advantages: Tensor
    response_mask: Tensor
    old_log_probs: Tensor
    rewards: Tensor
    groups: Tensor
    reward_components: Mapping[str, Tensor] = field(default_factory=dict)
    entropy: Tensor | None = None
    jsd: Tensor | None = None
    kl: Tensor | None = None
    perturbed_entropy: Tensor | None = None
    adversarial: Tensor | None = None
    rollout_log_probs: Tensor | None = None

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16):
                object.__setattr__(self, name, value.float())

    def with_advantages(self, advantages: Tensor) -> AdvantageBatch:
        """The same batch with other advantages (B, T), for the next method in line."""
        return replace(self, advantages=advantages)

    def signals(self, key: str, *names: str) -> tuple[Tensor, ...]:
        """The named optional fields, for the method that is configured under ``key``.

        Raises:
            ValueError: one of them was not computed.
        """
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"{key}: got no {', '.join(missing)}, which the method needs; start the run with "
                f"+method={key.rpartition('.')[2]}, or pass what is missing to the estimator"
            )
        return tuple(getattr(self, name) for name in names)


def group_std(values: Tensor, groups: Tensor) -> Tensor:
    """Unbiased standard deviation of each response's group, as verl's GRPO takes it.

    Args:
        values: (B,) float.
        groups: (B,) int64 group index of each response.

    Returns:
        (B,) float64. NaN for a group of one response, which has no spread to speak of (every comparison with NaN is
        false); exactly 0 where all values of a group are equal, free of the rounding error of their mean.
    """
    number = int(groups.max()) + 1 if groups.numel() else 0
    values = values.double()
    count = torch.zeros(number, dtype=torch.float64).index_add_(0, groups, torch.ones_like(values))
    mean = torch.zeros(number, dtype=torch.float64).index_add_(0, groups, values) / count
    squares = torch.zeros(number, dtype=torch.float64).index_add_(0, groups, (values - mean[groups]) ** 2)
    low = torch.full((number,), torch.inf, dtype=torch.float64).scatter_reduce_(0, groups, values, "amin")
    high = torch.full((number,), -torch.inf, dtype=torch.float64).scatter_reduce_(0, groups, values, "amax")
    std = (squares / (count - 1)).sqrt()  # 0/0 = NaN for a singleton
    std = torch.where((low == high) & (count > 1), torch.zeros_like(std), std)
    return std[groups]


def one_row_per_group(groups: Tensor, real: Tensor) -> Tensor:
    """(B,) bool: one row of each group, for means over groups; rows that are not ``real`` ((B,) bool) are left out."""
    groups = torch.where(real, groups, -1)
    _, position = torch.unique(groups, return_inverse=True)
    rows = torch.arange(len(groups))
    first = torch.full_like(rows, len(groups)).scatter_reduce_(0, position, rows, "amin")
    return (first[position] == rows) & real
