"""Checks of verl's policy losses that select tokens by their covariance of advantage and log-probability."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods import METHODS
from verl_plugins.methods.run_checks import RunChecks

ACTOR = "actor_rollout_ref.actor"
LOSS = f"{ACTOR}.policy_loss.loss_mode"
SELECTING = ("kl_cov", "clip_cov")
"""Losses of arXiv 2505.22617, which treat the tokens with the largest covariance differently from the others."""


def check_policy_loss(config: DictConfig, methods: list[str]) -> list[str]:
    """Check that KL-Cov and Clip-Cov select by advantages that are a response's, and that KL-Cov has a gradient."""
    run = RunChecks(partial(OmegaConf.select, config))
    loss = run.get(LOSS)
    if loss not in SELECTING:
        return []
    for name in methods:
        if METHODS[name].weighs_tokens:
            run.refuse(
                LOSS,
                loss,
                f"another policy loss with {name} ({loss} selects tokens by the covariance of advantage and "
                f"log-probability, and {name} changes the advantages token by token: it would choose the tokens of "
                f"{loss}, too)",
                f"set {LOSS}, or leave {name} out",
            )
    if loss == "kl_cov" and _updates_once(run):
        key = f"{ACTOR}.ppo_mini_batch_size"
        run.refuse(
            key,
            f"{run.get(key)} of {run.get('data.train_batch_size')} prompts, one update a step",
            "less with kl_cov (its penalty |log p - log p_old| has no gradient while p is p_old)",
            f"set {key}",
        )
    return run.problems


def _updates_once(run: RunChecks) -> bool:
    """Tell whether every update is made at the policy whose log-probabilities are the old ones."""
    return (
        run.get("trainer.v1.trainer_mode") != "separate_async"
        and not run.get("algorithm.rollout_correction.bypass_mode")
        and run.get(f"{ACTOR}.ppo_epochs") == 1
        and run.get(f"{ACTOR}.ppo_mini_batch_size") >= run.get("data.train_batch_size")
    )
