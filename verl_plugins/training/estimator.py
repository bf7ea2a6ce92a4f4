"""The methods as advantage estimators of verl's registry, for trainers that pass the extra tensors themselves."""

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
    """The estimator ``name``: verl's GRPO advantages, then the method on top."""

    def estimate(
        token_level_rewards: Tensor,
        response_mask: Tensor,
        index: np.ndarray,
        config: Mapping[str, Any] | None = None,
        old_log_probs: Tensor | None = None,
        entropy: Tensor | None = None,
        reward_components: Mapping[str, Tensor] | None = None,
        jsd: Tensor | None = None,
        kl: Tensor | None = None,
        perturbed_entropy: Tensor | None = None,
        adversarial: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, Tensor]:
        """Advantages and returns, both (B, T).

        Args:
            token_level_rewards: (B, T) float.
            response_mask: (B, T) 0/1.
            index: (B,) object, the ``uid`` of each row's prompt.
            config: verl's ``algorithm`` node; the method's settings stand under ``algorithm.<name>``.
            old_log_probs: (B, T) float, nats, required.
            entropy: (B, T) float, nats; ecvgpo needs it for metrics only.
            reward_components: named parts of the reward, each (B,).
            jsd, kl, perturbed_entropy: (B, T) float, nats, for vepo (``AdvantageBatch``).
            adversarial: (B,) bool, for saei, whose advantages are GRPO's.

        Raises:
            ValueError: ``old_log_probs`` or a signal of the method is missing: verl's stock trainers pass none.
        """
        from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

        if old_log_probs is None:
            raise ValueError(
                f"algorithm.adv_estimator={name}: got no old_log_probs, which the method needs and verl's stock "
                f"trainers do not pass; start the run with +method={name}, or pass old_log_probs to the estimator"
            )
        config = config or {}
        config_class, apply = METHODS[name]
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
            jsd=jsd,
            kl=kl,
            perturbed_entropy=perturbed_entropy,
            adversarial=adversarial,
        )
        reshaped, _metrics = apply(batch, config_from_node(config_class, config.get(name) or {}, f"algorithm.{name}"))
        return reshaped, returns

    return estimate


def group_indices(uids: np.ndarray) -> Tensor:
    """(B,) int64 group index of each row from its prompt's ``uid``."""
    _, indices = np.unique(np.asarray(uids, dtype=str), return_inverse=True)
    return torch.from_numpy(indices.astype(np.int64))
