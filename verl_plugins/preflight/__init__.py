"""Checks of a composed run that would otherwise fail late, or not at all. Imports neither verl, ray nor vllm."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods import METHODS
from verl_plugins.preflight.files import check_files
from verl_plugins.preflight.knobs import check_health, check_knobs, check_reward
from verl_plugins.preflight.model import check_model
from verl_plugins.preflight.saei import check_saei
from verl_plugins.preflight.trainer import check_micro_batches, check_trainer


def check_run(config: DictConfig) -> list[str]:
    """Everything in the run's config and data that its methods cannot work with.

    Args:
        config: verl's composed config (``ppo_trainer``).

    Returns:
        One line a problem: what, got, expected, which key to set. Empty when the run can start.
    """
    methods = [name for name in METHODS if OmegaConf.select(config, f"algorithm.{name}") is not None]
    return [
        *check_knobs(config, methods),
        *check_trainer(config, methods),
        *check_micro_batches(config),
        *check_reward(config),
        *check_model(config),
        *check_health(config),
        *(check_saei(config) if "saei" in methods else ()),
        *check_files(config, "train_files", takes_videos="saei" not in methods),
        *check_files(config, "val_files", takes_videos=True),
    ]
