"""Composing a run's config as ``python -m verl.trainer.main_ppo`` would, without running it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

import verl_plugins.register  # noqa: F401  puts the package's config groups on Hydra's search path
from verl_plugins.preflight import check_run


def compose_run(overrides: Sequence[str]) -> DictConfig:
    """verl's ``ppo_trainer`` config with ``overrides``, as ``python -m verl.trainer.main_ppo`` would compose it."""
    with initialize_config_module(config_module="verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=list(overrides))


def problems_of(config: DictConfig) -> list[str]:
    """What the preflight, and then verl's own check, find wrong with a composed run; a line each."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    problems = check_run(config)
    try:
        with redirect_stdout(sys.stderr):  # verl prints that all is well
            validate_config(config, need_reference_policy(config), need_critic(config))
    except Exception as error:  # verl asserts, raises, or fails in a constructor
        problems.append(f"verl: {' '.join(str(error).split())}")
    return problems


def print_run(overrides: Sequence[str]) -> int:
    """``verl-plugins compose``: the run's config on stdout, its problems on stderr; 1 if it could not start, else 0."""
    try:
        config = compose_run(overrides)
    except Exception as error:  # of Hydra, which has many
        print(f"verl-plugins: these overrides cannot be composed: {error}", file=sys.stderr)
        return 1
    print(OmegaConf.to_yaml(config, resolve=True), end="")
    problems = problems_of(config)
    if problems:
        print("verl-plugins: this run cannot start:", *(f"  {line}" for line in problems), sep="\n", file=sys.stderr)
    return 1 if problems else 0
