"""``verl-plugins compose``: the config that overrides make, and what would keep the run from starting."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("overrides", nargs="*", help="what you would pass to verl.trainer.main_ppo")
    parser.add_argument("--all", action="store_true", help="print the whole config")


def run(arguments: argparse.Namespace) -> int:
    """Print the run's config on stdout and its problems on stderr; returns 1 if it could not start, else 0.

    The config is what differs from verl's defaults or, with ``--all``, the whole.
    """
    from omegaconf import OmegaConf

    from verl_plugins.compose import compose_run, problems_of
    from verl_plugins.compose.config_differences import differences
    from verl_plugins.compose.override_errors import override_problem

    try:
        config = compose_run(arguments.overrides)
    except Exception as error:  # Hydra has many
        problem = override_problem(error, arguments.overrides, compose_run)
        print(f"verl-plugins: these overrides cannot be composed: {problem}", file=sys.stderr)
        return 1
    if arguments.all:
        print(OmegaConf.to_yaml(config, resolve=True), end="")
    else:
        print("# what differs from verl's defaults; the whole config: --all")
        print(differences(config, compose_run([])))
    problems = problems_of(config)
    if problems:
        print("verl-plugins: this run cannot start:", *(f"  {line}" for line in problems), sep="\n", file=sys.stderr)
    return 1 if problems else 0
