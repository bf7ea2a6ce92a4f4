"""Shows what is in a parquet file: schema, counts and sizes as text, and a page with images, boxes and prompts.

python -m data_prep inspect FILE [--html PAGE] [--sample N]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from data_prep.look.reading import field_values, open_converted, sampled_rows
from data_prep.row.boxes import gold_box


def facts(path: Path) -> list[tuple[str, str]]:
    """Return facts about a file, each with its name, without reading images.

    Raises:
        SystemExit: the file does not have the schema `row_schema()`.
    """
    metadata = open_converted(path).metadata
    sources = open_converted(path).read(columns=["data_source"]).column(0).to_pylist()
    golds = field_values(path, "reward_model", "ground_truth")
    hashes = field_values(path, "extra_info", "image_sha256")
    width, height = (field_values(path, "extra_info", name) for name in ("orig_w", "orig_h"))
    questions = field_values(path, "extra_info", "question")
    images = Counter(image for row in hashes for image in (row or "").split())
    entries = [
        ("rows", f"{metadata.num_rows} in {metadata.num_row_groups} row groups, {path.stat().st_size / 1e6:.1f} MB"),
        ("data sources", _counts(sources)),
        ("splits", _counts(field_values(path, "extra_info", "split"))),
        ("distinct images", f"{len(images)}, shown by {_range(list(images.values()))} rows each"),
        ("image width", f"{_range(width)} pixels"),
        ("image height", f"{_range(height)} pixels"),
        ("question length", f"{_range([len(text or '') for text in questions])} characters"),
    ]
    boxes = [(gold_box(gold), w, h) for gold, w, h in zip(golds, width, height, strict=True)]
    sizes = [(box[2] - box[0], box[3] - box[1], w * h) for box, w, h in boxes if box is not None]
    if sizes:
        entries += [
            ("answers that are boxes", f"{len(sizes)} of {len(golds)}"),
            ("box width", f"{_range([box_width for box_width, _, _ in sizes])} pixels"),
            ("box height", f"{_range([box_height for _, box_height, _ in sizes])} pixels"),
            ("box share of the image", f"{_range([100 * w * h / area for w, h, area in sizes])} %"),
        ]
    texts = Counter(gold for gold in golds if gold_box(gold) is None)
    if texts:
        frequent = ", ".join(f"{text!r} {count}" for text, count in texts.most_common(5))
        entries.append(("most frequent answers", frequent))
    return entries


def _counts(values: list[str]) -> str:
    return ", ".join(f"{value} {count}" for value, count in sorted(Counter(values).items()))


def _range(values: Sequence[float]) -> str:
    """Return smallest, median and largest value as text."""
    if not values:
        return "none"
    low, middle, high = (f"{value:.1f}".removesuffix(".0") for value in (min(values), median(values), max(values)))
    return low if low == high else f"{low} to {high} (median {middle})"


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep inspect`."""
    parser = argparse.ArgumentParser(prog="python -m data_prep inspect", description="What is in a parquet file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--html", type=Path, metavar="PAGE", help="default: FILE with .html in place of .parquet")
    parser.add_argument("--sample", type=int, default=24, metavar="N", help="rows on the page (default %(default)s)")
    args = parser.parse_args(argv)

    from data_prep.look.page import page

    page_path = args.html or args.file.with_suffix(".html")
    schema, file_facts = open_converted(args.file).schema_arrow.remove_metadata().to_string(), facts(args.file)
    print(schema)
    print("\n".join(["", *(f"{name:<24}{value}" for name, value in file_facts)]))
    rows = (row for _, row in sampled_rows(open_converted(args.file), args.sample))
    page_path.write_text(page(args.file.name, file_facts, schema, rows), encoding="utf-8")
    print(f"{'page':<24}{page_path}")
