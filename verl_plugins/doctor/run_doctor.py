"""``verl-plugins doctor``: everything that can be checked before a run, in one table."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from warnings import catch_warnings, simplefilter

from verl_plugins.commands.argument_types import count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--no-ray", action="store_true", help="do not start a Ray worker")
    parser.add_argument(
        "--gpus", type=count, metavar="N", help="GPUs that this machine should have, for a run without overrides"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        help="a run: what you would pass to verl.trainer.main_ppo (+method=ecvgpo ...), or a recipe and its arguments",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    return run_doctor(arguments.overrides, with_ray=not arguments.no_ray, gpus=arguments.gpus)


def run_doctor(overrides: Sequence[str], with_ray: bool = True, gpus: int | None = None) -> int:
    """Print the table and return the exit code: 0 if every check passed, 1 if not.

    Args:
        overrides: Hydra overrides of a run, or a recipe; empty to check the installation alone.
        with_ray: whether to start a local Ray worker and check the plugin there.
        gpus: number of GPUs that this machine should have; None if it is not known, or a matter of the overrides.
    """
    from verl_plugins.doctor.doctor_check import WARN, DoctorCheck
    from verl_plugins.doctor.machine import check_gpus
    from verl_plugins.doctor.overrides import check_overrides
    from verl_plugins.doctor.registered_names import check_driver, check_ray_worker
    from verl_plugins.doctor.versions import check_versions

    checks: list[DoctorCheck] = []
    sections: list[Callable[[], list[DoctorCheck]]] = [
        lambda: check_versions(with_flash_attn=not overrides),
        check_driver,
    ]
    if with_ray:
        sections.append(check_ray_worker)
    if overrides:
        sections.append(lambda: check_overrides(overrides))
    if gpus is not None or not overrides:
        sections.append(lambda: [check_gpus(gpus)])
    for section in sections:
        with _without_warnings():
            results = section()
        checks.extend(results)
        for check in results:
            print(check, flush=True)
        if section is check_driver and any(check.failed for check in results):
            break  # nothing after it can work
    failures = sum(check.failed for check in checks)
    warnings = sum(check.level == WARN for check in checks)
    doubts = f", {warnings} to look at" if warnings else ""
    print((f"{failures} of {len(checks)} checks failed" if failures else f"all {len(checks)} checks passed") + doubts)
    return 1 if failures else 0


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide what verl, Transformers and others log at their import, among which the table's lines would be lost."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with catch_warnings():
            simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
