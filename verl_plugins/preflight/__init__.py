"""Checks of a composed run that would otherwise fail late, or not at all. Imports neither verl, ray nor vllm."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods import METHODS
from verl_plugins.own_packages import packages_of_a_run
from verl_plugins.preflight.counts import check_counts
from verl_plugins.preflight.fused_kernels import check_fused_kernels
from verl_plugins.preflight.model import check_model, check_model_folder
from verl_plugins.preflight.other_runs import check_run_folder
from verl_plugins.preflight.own_settings import check_health, check_knobs
from verl_plugins.preflight.parquet import check_batches, check_files
from verl_plugins.preflight.policy_loss import check_policy_loss
from verl_plugins.preflight.requirements_of_methods import check_requirements
from verl_plugins.preflight.reward import check_reward
from verl_plugins.preflight.reward_function import check_reward_function
from verl_plugins.preflight.sizes import check_sizes
from verl_plugins.preflight.trainer_mode import check_trainer_mode
from verl_plugins.preflight.verl_run import check_micro_batches, check_sequence_parallelism, check_trainer


def check_run(config: DictConfig) -> list[str]:
    """Find everything in the run's config and data that its methods cannot work with.

    Args:
        config: verl's composed config (``ppo_trainer``).

    Returns:
        One line per problem: what, got, expected, which key to set. Empty when the run can start. A check that raises
        is a problem, too.
    """
    if shadowed := packages_of_a_run():
        return shadowed  # the checks import these packages
    if wrong := [*check_counts(config), *check_model_folder(config)]:
        return wrong  # the checks compute with them
    methods = [name for name in METHODS if OmegaConf.select(config, f"algorithm.{name}") is not None]
    refuse_videos = [name for name in methods if not METHODS[name].takes_videos]
    checks: list[partial[list[str]]] = [
        partial(check_knobs, config, methods),
        partial(check_trainer, config, methods),
        partial(check_trainer_mode, config, methods),
        partial(check_requirements, config, methods),
        partial(check_policy_loss, config, methods),
        partial(check_micro_batches, config),
        partial(check_sequence_parallelism, config),
        partial(check_sizes, config),
        partial(check_reward_function, config),
        partial(check_reward, config),
        partial(check_model, config),
        partial(check_fused_kernels, config),
        partial(check_health, config),
        partial(check_run_folder, config),
        partial(check_files, config, "train_files", refuse_videos),
        partial(check_files, config, "val_files", []),
        partial(check_batches, config),
    ]
    return [problem for check in checks for problem in _problems_of(check)]


def _problems_of(check: partial[list[str]]) -> list[str]:
    try:
        return check()
    except Exception as error:  # whatever it is, the run must not start unchecked
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return [f"the check itself failed: {check.func.__name__}: {message}"]
