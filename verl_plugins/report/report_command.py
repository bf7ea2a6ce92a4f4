"""``verl-plugins report``: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--val-file",
        type=Path,
        help="validation parquet, for its images (default: what Hydra's copy of the config names)",
    )
    parser.add_argument("--out", type=Path, help="file to write (default: RUN_DIR/report.html)")


def run(arguments: argparse.Namespace) -> int:
    """Print the run's summary and write its report; returns the exit code."""
    from verl_plugins.report.write_report import summary_table, write_report

    try:
        print(summary_table(arguments.run_dir))
        print(f"\nreport  {write_report(arguments.run_dir, arguments.val_file, arguments.out)}")
    except (FileNotFoundError, ValueError) as problem:
        print(f"verl-plugins: no report: {problem}", file=sys.stderr)
        return 1
    return 0
