"""What the synthetic data sets share: the shape of a row, and the command line that writes two splits."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path

from data_prep.row.schema import Row


def synthetic_row(
    data_source: str, ability: str, question: str, answer: str, png: bytes, side: int, split: str, index: int, seed: int
) -> Row:
    """A dict of `data_prep.row.schema.row_schema()` about one square picture of `side` pixels."""
    return {
        "data_source": data_source,
        "prompt": [{"role": "user", "content": f"<image>{question}"}],
        "images": [{"bytes": png, "path": None}],
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {
            "split": split,
            "index": index,
            "id": f"{split}-{seed}-{index}",
            "question": question,
            "answer": answer,
            "orig_w": side,
            "orig_h": side,
            "image_sha256": hashlib.sha256(png).hexdigest(),
            "subject": None,
            "choices": None,
        },
    }


def splits_command(
    name: str, description: str, write_splits: Callable[[Path, int, int, int], None], argv: list[str] | None
) -> None:
    """Command line of `python -m data_prep NAME`; `write_splits` takes the folder, both counts and the seed."""
    parser = argparse.ArgumentParser(prog=f"python -m data_prep {name}", description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder for train.parquet and val.parquet")
    parser.add_argument("--train", type=int, default=1024, help="rows of train.parquet (default %(default)s)")
    parser.add_argument("--val", type=int, default=64, help="rows of val.parquet (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of both splits (default %(default)s)")
    args = parser.parse_args(argv)
    write_splits(args.out, args.train, args.val, args.seed)
    print(f"wrote {args.train} train and {args.val} val rows to {args.out}")
