"""Finds images that are in two parquet files, so that a model is not evaluated on images of its training data.

    python -m data_prep check TRAIN EVAL

Images are compared by their size and pixels, so copies in another lossless encoding are found too. The files may be of
data_prep, of verl's example scripts, or benchmarks of the Hub. The exit code is 1 if any image is in both files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data_prep.look.image_hashes import rows_by_image

SHOWN = 10  # shared images that are listed


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep check`."""
    parser = argparse.ArgumentParser(prog="python -m data_prep check", description="Images that stand in both files.")
    parser.add_argument("train", type=Path, help="parquet file")
    parser.add_argument("eval", type=Path, help="parquet file")
    args = parser.parse_args(argv)
    train, evaluation = rows_by_image(args.train), rows_by_image(args.eval)
    shared = [image for image in evaluation if image in train]
    rows = sum(len(evaluation[image]) for image in shared)
    print(
        f"{len(train)} images in {args.train}, {len(evaluation)} in {args.eval}; {len(shared)} in both, in {rows} rows"
    )
    for image in shared[:SHOWN]:
        print(f"  {image[:16]}  rows {', '.join(train[image][:3])}  and  {', '.join(evaluation[image][:3])}")
    if shared:
        sys.exit(1)
