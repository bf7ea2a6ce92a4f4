"""The command line that all synthetic data sets share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def synthetic_command(
    name: str, description: str, write_splits: Callable[[Path, int, int, int], None], argv: list[str] | None
) -> None:
    """Parse the arguments and write two splits.

    Args:
        name: NAME in `python -m data_prep NAME`.
        description: one line for the help.
        write_splits: function of the output folder, the rows of train, the rows of val and the seed.
        argv: the arguments after NAME; None for those of the process.
    """
    parser = argparse.ArgumentParser(prog=f"python -m data_prep {name}", description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder for train.parquet and val.parquet")
    parser.add_argument("--train", type=int, default=1024, help="rows of train.parquet (default %(default)s)")
    parser.add_argument("--val", type=int, default=64, help="rows of val.parquet (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of both splits (default %(default)s)")
    args = parser.parse_args(argv)
    write_splits(args.out, args.train, args.val, args.seed)
    print(f"wrote {args.train} train and {args.val} val rows to {args.out}")
