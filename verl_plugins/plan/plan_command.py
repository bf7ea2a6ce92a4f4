"""Arguments of ``verl-plugins plan``."""

from __future__ import annotations

import argparse

from verl_plugins.commands.argument_types import count, gibibytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="RUN",
        help="a recipe and what you would pass to it, or overrides, or after -- the command that trains",
    )
    parser.add_argument("--gpus", type=count, help="of each machine (default: what the run has, usually 8)")
    parser.add_argument("--nodes", type=count, help="machines (default: what the run has, usually 1)")
    parser.add_argument("--memory", type=gibibytes, default=80, metavar="GIB", help="of a GPU (default: %(default)s)")
    parser.add_argument("--host-memory", type=gibibytes, metavar="GIB", help="of a machine (default: not compared)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from verl_plugins.plan.print_plan import run_plan

    return run_plan(arguments.overrides, arguments.gpus, arguments.nodes, arguments.memory, arguments.host_memory)
