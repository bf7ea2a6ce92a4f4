"""``verl-plugins doctor``: everything that can be checked before a run, in one table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--no-ray", action="store_true", help="do not start a Ray worker")
    parser.add_argument("overrides", nargs="*", help="what you would pass to verl.trainer.main_ppo: +method=ecvgpo ...")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    return run_doctor(arguments.overrides, with_ray=not arguments.no_ray)


def run_doctor(overrides: Sequence[str], with_ray: bool = True) -> int:
    """Print the table and return the exit code: 0 if every check passed, 1 if not.

    Args:
        overrides: Hydra overrides of a run; empty to check the installation alone.
        with_ray: whether to start a local Ray worker and check the plugin there.
    """
    from verl_plugins.doctor.doctor_check import DoctorCheck
    from verl_plugins.doctor.overrides import check_overrides
    from verl_plugins.doctor.registered_names import check_driver, check_ray_worker
    from verl_plugins.doctor.versions import check_versions

    checks: list[DoctorCheck] = []
    sections: list[Callable[[], list[DoctorCheck]]] = [check_versions, check_driver]
    if with_ray:
        sections.append(check_ray_worker)
    if overrides:
        sections.append(lambda: check_overrides(overrides))
    for section in sections:
        results = section()
        checks.extend(results)
        for check in results:
            print(check, flush=True)
        if section is check_driver and any(check.failed for check in results):
            break  # nothing after it can work
    failures = sum(check.failed for check in checks)
    print(f"{failures} of {len(checks)} checks failed" if failures else f"all {len(checks)} checks passed")
    return 1 if failures else 0
