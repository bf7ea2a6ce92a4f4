"""Images that stand in two parquet files: what a model trained on must not stand in what it is judged by.

    python -m data_prep check TRAIN EVAL

Images are compared by `extra_info.image_sha256`, a hash of their size and pixels, so that a copy in another lossless
encoding is found too. The exit code is 1 if any image stands in both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data_prep.look.reading import field_values

SHOWN = 10  # examples


def rows_by_image(path: Path) -> dict[str, list[str]]:
    """The ids of the rows that show each image, by hash.

    Raises:
        SystemExit: not a file of `data_prep.row.schema.row_schema()`.
    """
    rows: dict[str, list[str]] = {}
    ids, hashes = (field_values(path, "extra_info", name) for name in ("id", "image_sha256"))
    for id, images in zip(ids, hashes, strict=True):
        for image in (images or "").split():
            rows.setdefault(image, []).append(id)
    return rows


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep check`."""
    parser = argparse.ArgumentParser(prog="python -m data_prep check", description="Images that stand in both files.")
    parser.add_argument("train", type=Path, help="parquet file")
    parser.add_argument("eval", type=Path, help="parquet file")
    args = parser.parse_args(argv)
    train, judged = rows_by_image(args.train), rows_by_image(args.eval)
    shared = [image for image in judged if image in train]
    rows = sum(len(judged[image]) for image in shared)
    print(f"{len(train)} images in {args.train}, {len(judged)} in {args.eval}; {len(shared)} in both, in {rows} rows")
    for image in shared[:SHOWN]:
        print(f"  {image[:16]}  rows {', '.join(train[image][:3])}  and  {', '.join(judged[image][:3])}")
    if shared:
        sys.exit(1)


if __name__ == "__main__":
    main()
