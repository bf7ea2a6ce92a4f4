"""The config of a run as a user names it: a recipe, bare overrides, or the command that trains."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_plugins.compose.dry_run import NAME_THE_COMMAND, check_dry_run

ENTRY = ["-m", "verl.trainer.main_ppo"]


def named_run(words: Sequence[str], last: Sequence[str] = ()) -> tuple[str, DictConfig]:
    """Compose the config of a run from the words of its command line, as a user has it.

    Args:
        words: a recipe and its arguments; or overrides; or ``python -m verl.trainer.main_ppo`` and overrides.
        last: further overrides.

    Returns:
        What was named, in a word or two, and its config.

    Raises:
        ValueError: the words are none of the three, name a script that might train, or make no config.
    """
    words = words[3:] if list(words[1:3]) == ENTRY else words
    if not words:
        raise ValueError(
            "run: got nothing, expected a recipe (recipes/run_*.sh), overrides, or -- and the command that trains"
        )
    if not _is_override(words[0]):
        recipe = Path(words[0])
        return recipe.name, _composed_by(recipe, [*words[1:], *last])
    strangers = [word for word in words if not _is_override(word)]
    if strangers:
        raise ValueError(f"run: got {' '.join(strangers)} among overrides, expected KEY=VALUE; name one run at a time")
    return "the command", _composed([*words, *last])


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith("~")


def _composed(overrides: Sequence[str]) -> DictConfig:
    from verl_plugins.compose import compose_run
    from verl_plugins.compose.override_errors import override_problem

    try:
        return compose_run(overrides)
    except Exception as error:  # Hydra has many
        raise ValueError(override_problem(error, overrides, compose_run)) from error


def _composed_by(recipe: Path, arguments: Sequence[str]) -> DictConfig:
    """Run a recipe with DRY_RUN=1; of a script without it, verl refuses the ``--all`` that it forwards."""
    if not recipe.is_file():
        raise ValueError(
            f"recipe: got {recipe}, expected a file that exists; `verl-plugins recipes copy recipes` makes such files"
        )
    check_dry_run(recipe)
    # The recipe calls `verl-plugins` and `python`: those of this environment, whether or not a shell has activated it.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {**os.environ, "PATH": path, "DRY_RUN": "1"}
    command = ["bash", recipe, *arguments, "--all"]
    process = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", check=False)
    config = _config_in(process.stdout)
    if config is None:
        _, told, problem = process.stderr.rpartition("verl-plugins: ")
        if told:
            raise ValueError(f"{recipe}: {problem.strip()}")
        last = next((line for line in reversed((process.stderr or process.stdout).splitlines()) if line.strip()), "")
        raise ValueError(
            f"{recipe}: got no config from DRY_RUN=1 (its last line: {last.strip()[:300] or 'none'}), expected YAML "
            f"alone on stdout; {NAME_THE_COMMAND}"
        )
    return config


def _config_in(output: str) -> DictConfig | None:
    """Return the config of a run that a script printed as YAML; None if it printed anything else."""
    try:
        config = OmegaConf.create(output)
    except (yaml.YAMLError, OmegaConfBaseException):
        return None
    return config if isinstance(config, DictConfig) and "actor_rollout_ref" in config else None
