"""This package's own settings: the knobs of the methods, and the health checks."""

from __future__ import annotations

from omegaconf import DictConfig

from verl_plugins.health.health_config import health_from_node
from verl_plugins.methods import METHODS
from verl_plugins.methods.knobs import config_from_node


def check_knobs(config: DictConfig, methods: list[str]) -> list[str]:
    """Check the knobs ``algorithm.<method>.*``."""
    problems = []
    for name in methods:
        try:
            config_from_node(METHODS[name].config, config.algorithm[name], f"algorithm.{name}")
        except ValueError as error:
            problems.append(str(error))
    return problems


def check_health(config: DictConfig) -> list[str]:
    """Check the settings ``trainer.health.*``."""
    try:
        health_from_node(config.trainer.get("health") or {})
    except ValueError as error:
        return [str(error)]
    return []
