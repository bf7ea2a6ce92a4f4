"""Composing a run's config as ``python -m verl.trainer.main_ppo`` would, without running it."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose, initialize_config_module
from omegaconf import DictConfig

import verl_plugins.register  # noqa: F401  puts the package's config groups on Hydra's search path


def compose_run(overrides: Sequence[str]) -> DictConfig:
    """verl's ``ppo_trainer`` config with ``overrides``, as ``python -m verl.trainer.main_ppo`` would compose it."""
    with initialize_config_module(config_module="verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=list(overrides))
