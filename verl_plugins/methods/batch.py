"""The global batch that every method receives, and statistics of its groups. Torch only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdvantageBatch:
    """One global batch after verl has computed its advantages. B responses, T response tokens.

    Tensors in bf16 or fp16 are converted to float32, so that thresholds, quantiles and means are taken in float32: verl
    returns the entropy, and the log-probabilities of rows that are not packed, in the precision of its forward.

    Args:
        advantages: (B, T) float, broadcast over the tokens of a response and zero outside ``response_mask``.
        response_mask: (B, T) 0/1.
        old_log_probs: (B, T) float, nats, log-probabilities of the sampled tokens under the old policy.
        rewards: (B,) float, total reward of each response. An agent loop can return several outputs (rows) for one
            response; as in verl's GRPO, each has the reward of the last one.
        groups: (B,) int64 in [0, number of groups), equal for the responses of one prompt (``uid``).
        reward_components: named parts of the reward, each (B,) float, e.g. ``{"iou": ...}``.
        entropy: (B, T) float, nats, full-vocabulary entropy of the old policy, if it was computed.
        rollout_log_probs: (B, T) float, nats, log-probabilities of the sampled tokens in the rollout engine, if it
            returned them.
        columns: further tensors by name, (B, T) or (B,): what the drivers of the run's methods add
            (``Driver.columns``, ``Driver.row_columns``).
        is_last_output: (B,) bool, the row is the last output of its response; None where each response is one row.
        loss_agg_mode: how verl's policy loss averages over tokens, for methods that weigh tokens.
    """

    advantages: Tensor
    response_mask: Tensor
    old_log_probs: Tensor
    rewards: Tensor
    groups: Tensor
    reward_components: Mapping[str, Tensor] = field(default_factory=dict)
    entropy: Tensor | None = None
    rollout_log_probs: Tensor | None = None
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    is_last_output: Tensor | None = None
    loss_agg_mode: str = "token-mean"

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if isinstance(value, Tensor):
                object.__setattr__(self, name, _at_least_float32(value))
        object.__setattr__(self, "columns", {name: _at_least_float32(value) for name, value in self.columns.items()})

    def with_advantages(self, advantages: Tensor) -> AdvantageBatch:
        """Return the batch with other advantages (B, T), for the next method."""
        return replace(self, advantages=advantages)

    def group_std(self, values: Tensor) -> Tensor:
        """Unbiased standard deviation of ``values`` (B,) over the responses of each row's group (``group_std``)."""
        return group_std(values, self.groups, self.is_last_output)

    def signals(self, key: str, *names: str) -> tuple[Tensor, ...]:
        """Return the named optional tensors: fields or columns.

        Args:
            key: config key of the method that asks, e.g. ``algorithm.vepo``.

        Raises:
            ValueError: one of them was not computed.
        """
        values = {**self.columns, "entropy": self.entropy, "rollout_log_probs": self.rollout_log_probs}
        missing = [name for name in names if values.get(name) is None]
        if missing:
            raise ValueError(
                f"{key}: got no {', '.join(missing)}, which the method needs; start the run with "
                f"+method={key.rpartition('.')[2]}, or pass what is missing to the estimator"
            )
        return tuple(values[name] for name in names)  # pyright: ignore[reportReturnType]  none is missing


def _at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def group_std(values: Tensor, groups: Tensor, counted: Tensor | None = None) -> Tensor:
    """Unbiased standard deviation of each response's group, as in verl's GRPO.

    Args:
        values: (B,) float.
        groups: (B,) int64 group index of each response.
        counted: (B,) bool, rows over which it is taken; None for all.

    Returns:
        (B,) float64. NaN for a group of one response, whose standard deviation is undefined (every comparison with NaN
        is false); exactly 0 where all values of a group are equal, free of the rounding error of their mean.
    """
    number = int(groups.max()) + 1 if groups.numel() else 0
    every, values = groups, values.double()
    if counted is not None:
        values, groups = values[counted], groups[counted]
    count = torch.zeros(number, dtype=torch.float64).index_add_(0, groups, torch.ones_like(values))
    mean = torch.zeros(number, dtype=torch.float64).index_add_(0, groups, values) / count
    squares = torch.zeros(number, dtype=torch.float64).index_add_(0, groups, (values - mean[groups]) ** 2)
    low = torch.full((number,), torch.inf, dtype=torch.float64).scatter_reduce_(0, groups, values, "amin")
    high = torch.full((number,), -torch.inf, dtype=torch.float64).scatter_reduce_(0, groups, values, "amax")
    std = (squares / (count - 1)).sqrt()  # 0/0 = NaN for a singleton
    std = torch.where((low == high) & (count > 1), torch.zeros_like(std), std)
    return std[every]


def one_row_per_group(groups: Tensor, real: Tensor) -> Tensor:
    """Select one row of each group, for means over groups.

    Args:
        groups: (B,) int64.
        real: (B,) bool, rows to consider; the padding rows of a batch are left out.

    Returns:
        (B,) bool.
    """
    groups = torch.where(real, groups, -1)
    _, position = torch.unique(groups, return_inverse=True)
    rows = torch.arange(len(groups))
    first = torch.full_like(rows, len(groups)).scatter_reduce_(0, position, rows, "amin")
    return (first[position] == rows) & real
