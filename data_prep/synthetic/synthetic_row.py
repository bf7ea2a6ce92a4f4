"""The row that all synthetic data sets write."""

from __future__ import annotations

import hashlib

from data_prep.types import Row


def source_of(data_source: str, split: str) -> str:
    """Return the data source of a split's rows: "ood" has one of its own, so that verl reports it by itself."""
    return f"{data_source}_ood" if split == "ood" else data_source


def synthetic_row(
    data_source: str, ability: str, question: str, answer: str, png: bytes, side: int, split: str, index: int, seed: int
) -> Row:
    """Make a row with the fields of `row_schema()` about one square image.

    Args:
        data_source, ability, question: fields of the row.
        answer: the answer and the ground truth.
        png: the image file.
        side: width and height of the image in pixels.
        split, index, seed: the arguments from which the row was drawn; together, its id.
    """
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
