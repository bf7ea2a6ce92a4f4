"""Weights in bfloat16: which of them a small learning rate can change at all."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

ACTOR = "actor_rollout_ref.actor"
BF16_WEIGHTS = f"{ACTOR}.fsdp_config.model_dtype=bf16"
"""The override that stores weights, gradients and optimizer states in bfloat16."""

STOCHASTIC_ROUNDING = (
    f"{ACTOR}.optim.optimizer_impl=torchao.optim",
    f"{ACTOR}.optim.optimizer=_AdamW",
    f"+{ACTOR}.optim.override_optimizer_config.bf16_stochastic_round=true",
)
"""The overrides with which verl adds an update to a weight in bfloat16 with the right mean."""

TYPICAL_WEIGHT = 0.02
"""Standard deviation of a weight of these models at their initialisation (Transformers' ``initializer_range``)."""


def frozen_from(lr: float) -> float:
    """Return the absolute value from which on a weight in bfloat16 stays as it is when ``lr`` is added to it.

    bfloat16 has 8 significant bits, so its numbers are more than ``|w| / 256`` apart, and a sum rounds back to ``w`` if
    less than half of that is added. AdamW's steps are about as large as the learning rate.
    """
    return 512 * lr


def lost_updates(config: DictConfig, overrides: Sequence[str] = ()) -> list[str]:
    """Warn of weights in bfloat16 whose updates are rounded away.

    Args:
        config: the run's config.
        overrides: advised for the run.

    Returns:
        Lines; none if weights are in another type, or the optimizer rounds stochastically, or ``lr`` is large enough.
    """
    actor = config.actor_rollout_ref.actor
    is_bf16 = actor.fsdp_config.model_dtype in ("bf16", "bfloat16") or BF16_WEIGHTS in overrides
    rounds_stochastically = OmegaConf.select(actor, "optim.override_optimizer_config.bf16_stochastic_round")
    lr, limit = actor.optim.lr, frozen_from(actor.optim.lr)
    if not is_bf16 or rounds_stochastically or limit > TYPICAL_WEIGHT:
        return []
    if config.actor_rollout_ref.model.lora_rank:
        return [
            f"note: model_dtype=bf16 stores the adapter in bf16, too: at lr {lr:g} its entries move only while they "
            f"are below {limit:.1g} in absolute value"
        ]
    return [
        f"warning: bf16 weights at lr {lr:g}: a step changes no weight of {limit:.1g} or more in absolute value, and "
        f"most are about {TYPICAL_WEIGHT}: nearly all updates are lost",
        f"  keep {ACTOR}.fsdp_config.model_dtype=fp32, or round stochastically (with torchao; not run here):",
        *(f"  {override}" for override in STOCHASTIC_ROUNDING),
    ]
