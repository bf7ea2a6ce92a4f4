"""The methods as advantage estimators in verl's registry, for trainers that pass the extra tensors themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from verl_plugins.methods import METHODS
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.knobs import config_from_node


def advantage_estimator(name: str) -> Callable[..., tuple[Tensor, Tensor]]:
    """Make the estimator of the method ``name``: verl's GRPO advantages, then the method."""

    def estimate(
        token_level_rewards: Tensor,
        response_mask: Tensor,
        index: np.ndarray,
        config: Mapping[str, Any] | None = None,
        old_log_probs: Tensor | None = None,
        entropy: Tensor | None = None,
        reward_components: Mapping[str, Tensor] | None = None,
        loss_agg_mode: str = "token-mean",
        **columns: Any,
    ) -> tuple[Tensor, Tensor]:
        """Compute advantages and returns, both (B, T).

        Args:
            token_level_rewards: (B, T) float.
            response_mask: (B, T) 0/1.
            index: (B,) object, the ``uid`` of each row's prompt.
            config: verl's ``algorithm`` node; the method's knobs are under ``algorithm.<name>``.
            old_log_probs: (B, T) float, nats, required.
            entropy: (B, T) float, nats.
            reward_components: named parts of the reward, each (B,).
            loss_agg_mode: ``actor.loss_agg_mode`` of the run, which is not in ``config``; a method that weighs
                tokens makes its weights for it.
            columns: further tensors that the method reads, (B, T) or (B,), by their name in ``AdvantageBatch.columns``;
                whatever else verl passes is ignored.

        Raises:
            ValueError: ``old_log_probs`` or a column of the method is missing; verl's stock trainers pass neither. Or
                the method has no weights for ``loss_agg_mode``.
        """
        from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

        if old_log_probs is None:
            raise ValueError(
                f"algorithm.adv_estimator={name}: got no old_log_probs, which the method needs and verl's stock "
                f"trainers do not pass; start the run with +method={name}, or pass old_log_probs to the estimator"
            )
        config = config or {}
        method = METHODS[name]
        advantages, returns = compute_grpo_outcome_advantage(
            token_level_rewards=token_level_rewards,
            response_mask=response_mask,
            index=index,
            norm_adv_by_std_in_grpo=config.get("norm_adv_by_std_in_grpo", True),
        )
        batch = AdvantageBatch(
            advantages=advantages,
            response_mask=response_mask,
            old_log_probs=old_log_probs,
            rewards=token_level_rewards.sum(dim=-1),
            groups=group_indices(index),
            reward_components=reward_components or {},
            entropy=entropy,
            loss_agg_mode=loss_agg_mode,
            columns={key: value for key, value in columns.items() if isinstance(value, Tensor)},
        )
        knobs = config_from_node(method.config, config.get(name) or {}, f"algorithm.{name}")
        reshaped, _metrics = method.apply(batch, knobs)
        return reshaped, returns

    return estimate


def group_indices(uids: np.ndarray) -> Tensor:
    """Number the groups: (B,) int64 group index of each row from its prompt's ``uid``."""
    _, indices = np.unique(np.asarray(uids, dtype=str), return_inverse=True)
    return torch.from_numpy(indices.astype(np.int64))
