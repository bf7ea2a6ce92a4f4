"""Checks that the methods of a run declare themselves."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods import METHODS
from verl_plugins.methods.knobs import config_from_node
from verl_plugins.methods.run_checks import RunChecks
from verl_plugins.preflight.model import model_type


def check_requirements(config: DictConfig, methods: list[str]) -> list[str]:
    """Collect the problems that the methods' ``requirements`` report, in the order of ``methods``."""
    run = RunChecks(partial(OmegaConf.select, config), model_type(str(config.actor_rollout_ref.model.path)))
    for name in methods:
        method = METHODS[name]
        if method.requirements is None:
            continue
        try:
            knobs = config_from_node(method.config, config.algorithm[name], f"algorithm.{name}")
        except ValueError:
            continue  # reported by check_knobs
        method.requirements(run, knobs)
    return run.problems
