"""The command line that all synthetic data sets share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def synthetic_command(
    name: str, description: str, write_split: Callable[[Path, str, int, int], None], argv: list[str] | None
) -> None:
    """Parse the arguments and write the splits that are asked for.

    Args:
        name: NAME in `python -m data_prep NAME`.
        description: one line for the help.
        write_split: function of the output folder, the name of the split, its number of rows and the seed.
        argv: the arguments after NAME; None for those of the process.
    """
    parser = argparse.ArgumentParser(prog=f"python -m data_prep {name}", description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder for train.parquet, val.parquet and ood.parquet")
    parser.add_argument("--train", type=_count, default=1024, help="rows of train.parquet (default %(default)s)")
    parser.add_argument("--val", type=_count, default=64, help="rows of val.parquet (default %(default)s)")
    parser.add_argument(
        "--ood", type=_count, default=0, help="rows of ood.parquet, out of the domain of train (default: not written)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all splits (default %(default)s)")
    args = parser.parse_args(argv)
    counts = {split: getattr(args, split) for split in ("train", "val", "ood")}
    written = {split: count for split, count in counts.items() if count > 0 or split != "ood"}
    for split, count in written.items():
        write_split(args.out, split, count, args.seed)
    print(f"wrote {', '.join(f'{count} {split}' for split, count in written.items())} rows to {args.out}")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"got {text}, expected 0 or more")
    return value
