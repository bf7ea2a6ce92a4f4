"""The command ``verl-plugins``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit code (0 good, 1 a problem was found, 2 bad usage)."""
    parser = argparse.ArgumentParser(
        prog="verl-plugins",
        description="Entropy-aware visual RL as a plugin for unmodified verl.",
        epilog="Data: python -m data_prep --help. Evaluation: python -m verl_plugins.evaluate --help.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    doctor = commands.add_parser(
        "doctor",
        help="check the installation, and optionally the overrides of a run, before training",
        description="Checks versions, the plugin in the driver and in a Ray worker, the registered names and, where "
        "overrides are given, the run that they describe. Exit code 0 if all is well, 1 if not.",
    )
    doctor.add_argument("--no-ray", action="store_true", help="do not start a Ray worker")
    doctor.add_argument("overrides", nargs="*", help="what you would pass to verl.trainer.main_ppo: +method=ecvgpo ...")

    compose = commands.add_parser(
        "compose",
        help="print the config that overrides make, check it, and stop",
        description="Prints the config that verl.trainer.main_ppo would train with, as YAML, and on stderr what would "
        "keep the run from starting. Exit code 0 if nothing would, 1 if something does. Recipes call it for DRY_RUN=1.",
    )
    compose.add_argument("overrides", nargs="*", help="what you would pass to verl.trainer.main_ppo")

    plan = commands.add_parser(
        "plan",
        help="estimate what a recipe needs of each GPU's and each machine's memory, and what to turn down",
        description="Estimates the memory of each GPU and of each machine by phase of a step, from the config that the "
        "recipe composes. Exit code 0 if it fits, 1 if not.",
    )
    plan.add_argument("recipe", type=Path, help="recipes/run_*.sh")
    plan.add_argument("overrides", nargs="*", help="what you would pass to the recipe")
    plan.add_argument("--gpus", type=int, default=8, help="of each machine (default: %(default)s)")
    plan.add_argument("--nodes", type=int, default=1, help="machines (default: %(default)s)")
    plan.add_argument("--memory", type=float, default=80, metavar="GIB", help="of a GPU (default: %(default)s)")
    plan.add_argument("--host-memory", type=float, metavar="GIB", help="of a machine (default: not compared)")

    demo = commands.add_parser(
        "demo",
        help="train a tiny VLM on this machine's CPU and write a report",
        description="Builds a tiny Qwen2.5-VL and synthetic data (cached), trains with a method on real "
        "verl + FSDP2 + vLLM on the CPU, and writes metrics, a report and a checkpoint. Start it again after an "
        "interruption and it goes on from the last checkpoint.",
    )
    demo.add_argument("--out", type=Path, default=Path("outputs/demo"), help="run directory (default: %(default)s)")
    demo.add_argument("--cache", type=Path, default=Path(".cache/demo"), help="model and data (default: %(default)s)")
    demo.add_argument("--method", default="ecvgpo", help="value of +method (default: %(default)s)")
    demo.add_argument(
        "--task",
        choices=("grounding", "reasoning"),
        help="synthetic task (default: reasoning for vepo, else grounding)",
    )
    demo.add_argument("--steps", type=int, default=30, help="training steps (default: %(default)s)")
    demo.add_argument("overrides", nargs="*", help="further Hydra overrides: algorithm.ecvgpo.r0=-50 ...")

    report = commands.add_parser(
        "report",
        help="write the report of a run, at any time",
        description="Reads a run's directory while it trains or afterwards: metrics.jsonl of verl's file logger, or "
        "the event files of its tensorboard logger; validation/, tokens/ and adversarial/ where the run wrote them "
        "(trainer.validation_data_dir=RUN_DIR/validation, trainer.record_dir=RUN_DIR). Prints how the run began and "
        "how it stands, and writes one HTML file with curves, alarms, tokens and images.",
    )
    report.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    report.add_argument(
        "--val-file",
        type=Path,
        help="validation parquet, for its images (default: what Hydra's copy of the config names)",
    )
    report.add_argument("--out", type=Path, help="file to write (default: RUN_DIR/report.html)")

    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a run which is ended still cleans up
    if arguments.command == "doctor":
        from verl_plugins.doctor.run_doctor import run_doctor

        return run_doctor(arguments.overrides, with_ray=not arguments.no_ray)
    if arguments.command == "compose":
        from verl_plugins.compose import print_run

        return print_run(arguments.overrides)
    if arguments.command == "plan":
        from verl_plugins.plan.print_plan import run_plan

        memory = arguments.memory, arguments.host_memory
        return run_plan(arguments.recipe, arguments.gpus, arguments.nodes, *memory, arguments.overrides)
    if arguments.command == "report":
        return _report(arguments.run_dir, arguments.val_file, arguments.out)
    from verl_plugins.demo.run_demo import run_demo
    from verl_plugins.demo.tasks import TASKS, task_of

    task = TASKS[arguments.task or task_of(arguments.method)]
    return run_demo(arguments.out, arguments.cache, task, arguments.method, arguments.steps, arguments.overrides)


def _report(run_dir: Path, val_file: Path | None, out: Path | None) -> int:
    from verl_plugins.report.write_report import summary_table, write_report

    try:
        print(summary_table(run_dir))
        print(f"\nreport  {write_report(run_dir, val_file, out)}")
    except (FileNotFoundError, ValueError) as problem:
        print(f"verl-plugins: no report: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
