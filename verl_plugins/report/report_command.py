"""``verl-plugins report``: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR", help="one run, or several to compare")
    parser.add_argument(
        "--val-file",
        type=Path,
        action="append",
        default=[],
        help="validation parquet, for its images; may be given several times (default: what each run's config names)",
    )
    parser.add_argument(
        "--out", type=Path, help="file to write (default: RUN_DIR/report.html; of several runs, comparison.html here)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report of the runs and print their summary; returns the exit code."""
    from verl_plugins.report.write_report import write_report

    try:
        report, table = write_report(arguments.run_dirs, arguments.val_file, arguments.out)
    except (OSError, ValueError) as problem:
        print(f"verl-plugins: no report: {problem}", file=sys.stderr)
        return 1
    print(f"{table}\n\nreport  {report}")
    return 0
