"""Arguments of ``verl-plugins plan``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("recipe", type=Path, help="recipes/run_*.sh")
    parser.add_argument("overrides", nargs="*", help="what you would pass to the recipe")
    parser.add_argument("--gpus", type=int, default=8, help="of each machine (default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=1, help="machines (default: %(default)s)")
    parser.add_argument("--memory", type=float, default=80, metavar="GIB", help="of a GPU (default: %(default)s)")
    parser.add_argument("--host-memory", type=float, metavar="GIB", help="of a machine (default: not compared)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from verl_plugins.plan.print_plan import run_plan

    memory = arguments.memory, arguments.host_memory
    return run_plan(arguments.recipe, arguments.gpus, arguments.nodes, *memory, arguments.overrides)
