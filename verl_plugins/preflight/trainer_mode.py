"""Checks of the trainer's mode and of the sampling; verl asserts most of them once Ray is up."""

from __future__ import annotations

import os
from functools import partial

from omegaconf import DictConfig, OmegaConf

from verl_plugins.config import OWN_TRAINERS, TRAINER_MODE
from verl_plugins.methods import METHODS
from verl_plugins.methods.run_checks import RunChecks

MODE = "trainer.v1.trainer_mode"
MODES = ("sync", "colocate_async", "separate_async")
ROLLOUT = "actor_rollout_ref.rollout"


def check_trainer_mode(config: DictConfig, methods: list[str]) -> list[str]:
    """Check that the run's trainer is one of this package, that it can start, and that the methods work in its mode."""
    run = RunChecks(partial(OmegaConf.select, config))
    run.expect(MODE, (*MODES, TRAINER_MODE).__contains__, f"one of {', '.join(MODES)}")
    run.expect(
        f"ray_kwargs.ray_init.runtime_env.env_vars.{OWN_TRAINERS}",
        lambda got: str(got) == "1",
        "1, as +method sets it (without it, verl's own trainer would run, without the methods)",
    )
    own_loops = [name for name in methods if METHODS[name].agent_loops]
    if len(own_loops) > 1:
        run.refuse(
            "method",
            " and ".join(own_loops),
            "one of them (each sends the prompts to agent loops of its own, which choose the images to sample on)",
            f"set +method={own_loops[0]} or +method={own_loops[1]}",
        )
    mode = run.get(MODE)
    if mode in ("colocate_async", "separate_async"):
        for name in methods:
            if METHODS[name].samples_again:
                run.refuse(
                    MODE,
                    mode,
                    f"sync ({name} samples again in the middle of a step, with an idle engine)",
                    f"set {MODE}",
                )
    if mode == "separate_async":
        _expect_separate_devices(run)
    _expect_filter_metric(run)
    return run.problems


def _expect_separate_devices(run: RunChecks) -> None:
    """Report what verl's trainer with devices of its own for the rollout asserts."""
    steps = run.get("trainer.v1.separate_async.parameter_sync_step")
    mini_batch = run.get("actor_rollout_ref.actor.ppo_mini_batch_size")
    run.expect(
        "data.train_batch_size",
        lambda got: got == steps * mini_batch,
        f"{steps * mini_batch} (parameter_sync_step {steps} x ppo_mini_batch_size {mini_batch})",
    )
    for key in ("nnodes", "n_gpus_per_node"):
        run.expect(f"{ROLLOUT}.{key}", lambda got: bool(got and got > 0), "> 0 (the rollout has devices of its own)")
    run.expect(
        "actor_rollout_ref.hybrid_engine",
        lambda got: got is True or os.environ.get("VERL_LOGGING_LEVEL", "INFO") in ("WARN", "WARNING", "ERROR"),
        "true (with false, a line that verl 0.9.1 logs at level INFO raises; VERL_LOGGING_LEVEL=WARN goes without it)",
    )
    run.expect(
        f"{ROLLOUT}.checkpoint_engine.backend",
        lambda got: got != "naive",
        "nccl, or another engine that sends the weights to other devices",
    )


def _expect_filter_metric(run: RunChecks) -> None:
    """Report group filtering without a metric that is known when the replay buffer filters."""
    if not run.get("algorithm.filter_groups.enable"):
        return
    run.expect("algorithm.filter_groups.metric", bool, "reward, or the name of a number that the reward returns")
    if run.get("reward.reward_model.enable"):
        run.expect(
            "reward.reward_model.enable_resource_pool",
            bool,
            "true (groups are filtered by rewards, which a colocated reward model computes later)",
        )
