"""The command ``verl-plugins``. Each subcommand's module has ``add_arguments(parser)`` and ``run(arguments)``."""

from __future__ import annotations

import argparse
import signal
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from verl_plugins.own_packages import refuse_shadowed_packages


class Command(NamedTuple):
    """A subcommand: the module that runs it, and its texts in ``--help``."""

    module: str
    help: str
    description: str


COMMANDS = {
    "methods": Command(
        "verl_plugins.commands.methods",
        help="list the methods, or the knobs of one with their meaning",
        description="Lists the values of +method=, those of other installed packages included; with METHOD, its knobs: "
        "type, default and meaning.",
    ),
    "recipes": Command(
        "verl_plugins.commands.recipes",
        help="list the training scripts that come with the package, or copy them",
        description="Lists the scripts, one for each model and method, with what each trains. `recipes copy DIR` "
        "copies them, to be run from there.",
    ),
    "doctor": Command(
        "verl_plugins.doctor.run_doctor",
        help="check the installation, and optionally the overrides of a run, before training",
        description="Checks versions, the plugin in the driver and in a Ray worker, the registered names and, where "
        "overrides are given, the run that they describe. Exit code 0 if all is well, 1 if not.",
    ),
    "compose": Command(
        "verl_plugins.compose.compose_command",
        help="print the config that overrides make, check it, and stop",
        description="Prints what differs from verl's defaults in the config that verl.trainer.main_ppo would train "
        "with, as YAML, and on stderr what would "
        "keep the run from starting. Exit code 0 if nothing would, 1 if something does. Recipes call it for DRY_RUN=1, "
        "and pass it --all.",
    ),
    "support": Command(
        "verl_plugins.commands.support",
        help="print which of verl's settings each installed method trains with",
        description="Asks the preflight about each setting and method, and prints the table of docs/support.md as "
        "Markdown, with the reason of each refusal.",
    ),
    "plan": Command(
        "verl_plugins.plan.plan_command",
        help="estimate what a run needs of each GPU's and each machine's memory, and what to turn down",
        description="Estimates the memory of each GPU and of each machine by phase of a step, from the config of a "
        "recipe (recipes/run_*.sh), of bare overrides, or of a whole command: `verl-plugins plan --gpus 8 --memory 80 "
        "-- python -m verl.trainer.main_ppo +method=NAME ...`. Exit code 0 if it fits as it is, 1 if not.",
    ),
    "demo": Command(
        "verl_plugins.demo.demo_command",
        help="train a tiny VLM on this machine's CPU and write a report",
        description="Builds a tiny Qwen2.5-VL and synthetic data (cached), trains with a method on real "
        "verl + FSDP2 + vLLM on the CPU, and writes metrics, a report and a checkpoint. Start it again after an "
        "interruption and it goes on from the last checkpoint.",
    ),
    "report": Command(
        "verl_plugins.report.report_command",
        help="write the report of a run, at any time, or of several runs side by side",
        description="Reads the folder of each run while it trains or afterwards (what a run with run_dir=RUN_DIR "
        "leaves; metrics.jsonl of verl's file logger or the event files of its tensorboard logger suffice). Prints how "
        "the runs began and how they stand, and writes one HTML file with curves, alarms, tokens and images.",
    ),
}


def installed_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("verl-plugins")
    except PackageNotFoundError:
        return "(a checkout that is not installed)"


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Parse a command line whose overrides may stand before, between and after the options.

    argparse takes the overrides up to the first option that follows one, and returns the others unparsed.
    """
    arguments, rest = parser.parse_known_args(argv)
    overrides = [word for word in rest if word != "--"]
    options = [word for word in (rest[: rest.index("--")] if "--" in rest else rest) if word.startswith("-")]
    if overrides and (options or not hasattr(arguments, "overrides")):
        parser.error(
            f"unrecognized arguments: {' '.join(options or overrides)}"
            + ("; put -- before a command that has options of its own" if hasattr(arguments, "overrides") else "")
        )
    if overrides:
        arguments.overrides += overrides
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit code (0 good, 1 a problem was found, 2 bad usage)."""
    refuse_shadowed_packages()
    parser = argparse.ArgumentParser(
        prog="verl-plugins",
        description="Entropy-aware visual RL as a plugin for unmodified verl.",
        epilog="Data: python -m data_prep --help. Evaluation: python -m verl_plugins.evaluate --help.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {installed_version()}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help, description=command.description)
        import_module(command.module).add_arguments(subparser)
    arguments = parse(parser, argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a terminated run still cleans up
    return import_module(COMMANDS[arguments.command].module).run(arguments)


if __name__ == "__main__":
    sys.exit(main())
