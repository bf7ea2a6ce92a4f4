"""The settings that are this package's own: of the methods, of the health checks, of its rewards."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from reward_fns import auto
from verl_plugins.health.config import health_from_node
from verl_plugins.methods import METHODS
from verl_plugins.methods.config import config_from_node


def check_knobs(config: DictConfig, methods: list[str]) -> list[str]:
    problems = []
    for name in methods:
        try:
            config_from_node(METHODS[name][0], config.algorithm[name], f"algorithm.{name}")
        except ValueError as error:
            problems.append(str(error))
    return problems


def check_health(config: DictConfig) -> list[str]:
    try:
        health_from_node(config.trainer.get("health") or {})
    except ValueError as error:
        return [str(error)]
    return []


def check_reward(config: DictConfig) -> list[str]:
    """The settings of this package's own rewards, which would else be an error of every response."""
    custom = OmegaConf.select(config, "reward.custom_reward_function")
    if custom is None or not custom.path or custom.name != "compute_score":
        return []
    path = str(custom.path)
    rewards = [auto, *auto.REWARDS.values()]
    known = {f"pkg://{module.__name__}": module for module in rewards}
    module = known.get(path) or next(
        (each for each in rewards if Path(str(each.__file__)) == Path(path).resolve()), None
    )
    if module is None:
        return []
    settings = OmegaConf.to_container(custom.get("reward_kwargs") or OmegaConf.create(), resolve=True)
    try:
        module.settings_of(**settings)  # pyright: ignore[reportCallIssue]
    except ValueError as problem:
        return [str(problem)]
    return []
