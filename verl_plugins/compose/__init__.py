"""The config that ``python -m verl.trainer.main_ppo`` would train with, and its problems, without a run.

Hydra, verl and the plugin are imported inside the functions, so that ``verl-plugins --help`` is quick.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig


def compose_run(overrides: Sequence[str]) -> DictConfig:
    """Compose verl's ``ppo_trainer`` config with ``overrides``, as ``python -m verl.trainer.main_ppo`` does."""
    from hydra import compose, initialize_config_module

    import verl_plugins.register  # noqa: F401  puts the package's config groups on Hydra's search path

    with initialize_config_module(config_module="verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=list(overrides))


def problems_of(config: DictConfig) -> list[str]:
    """List the problems that the preflight, and then verl's own validation, find in a composed run; one line each."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    from verl_plugins.preflight import check_run
    from verl_plugins.preflight.counts import MINI_BATCH, check_counts

    problems = check_run(config)
    if check_counts(config) or any(line.startswith(f"{MINI_BATCH}:") for line in problems):
        return problems  # verl would say the same in other words
    try:
        with redirect_stdout(sys.stderr):  # verl prints that all is well
            validate_config(config, need_reference_policy(config), need_critic(config))
    except Exception as error:  # verl asserts, raises, or fails in a constructor
        problems.append(f"verl: {_without_wrapping(' '.join(str(error).split()))}")
    return problems


def _without_wrapping(message: str) -> str:
    """Return the message of verl alone, without the name of the class in whose constructor Hydra caught it."""
    wrapped = re.fullmatch(r"Error in call to target '[^']+': \w+\((['\"])(?P<inner>.*)\1\) full_key: .*", message)
    return wrapped["inner"] if wrapped else message
