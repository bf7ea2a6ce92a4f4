"""Arguments of ``verl-plugins demo``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--out", type=Path, default=Path("outputs/demo"), help="run directory (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"), help="model and data (default: %(default)s)")
    parser.add_argument("--method", default="ecvgpo", help="value of +method (default: %(default)s)")
    parser.add_argument(
        "--task",
        choices=("grounding", "reasoning"),
        help="synthetic task (default: the one that the method declares)",
    )
    parser.add_argument("--steps", type=int, default=30, help="training steps (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", help="further Hydra overrides: algorithm.ecvgpo.r0=-50 ...")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from verl_plugins.demo.run_demo import run_demo
    from verl_plugins.demo.tasks import TASKS, task_of

    task = TASKS[arguments.task or task_of(arguments.method)]
    return run_demo(arguments.out, arguments.cache, task, arguments.method, arguments.steps, arguments.overrides)
