"""Facts about a parquet file for verl: counts, sizes, golds and boxes, whoever wrote it."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from data_prep.look.reading import BATCH_ROWS, image_file, is_converted, open_rows
from data_prep.raw.image_values import image_items
from data_prep.row.boxes import gold_boxes
from data_prep.types import Row

_COLUMNS = ("data_source", "reward_model", "extra_info")


@dataclass(frozen=True)
class _RowFacts:
    """What counts of one row.

    Args:
        source, split, gold, question: as text; None if the row does not say.
        images: hash of each image, or None for one that cannot be read.
        size: width and height of the first image in pixels; None if there is none.
    """

    source: str | None
    split: str | None
    gold: str | None
    question: str | None
    images: list[str | None]
    size: tuple[int, int] | None


def facts(path: Path) -> list[tuple[str, str]]:
    """Return facts about a file, each with its name; facts that no row has are left out.

    The images of a file that data_prep wrote are not read, since its rows have their hashes and sizes.

    Raises:
        SystemExit: it is not a parquet file, or has no prompts.
    """
    metadata = open_rows(path).metadata
    rows = list(_all_rows(path))
    shown = [image for row in rows for image in row.images]
    images = Counter(image for image in shown if image is not None)
    sizes = [row.size for row in rows if row.size]
    questions = [row.question for row in rows if row.question is not None]
    entries = [
        ("rows", f"{metadata.num_rows} in {metadata.num_row_groups} row groups, {path.stat().st_size / 1e6:.1f} MB"),
        ("data sources", _counts([row.source for row in rows])),
        ("splits", _counts([row.split for row in rows])),
        ("distinct images", f"{len(images)}, shown by {_range(list(images.values()))} rows each"),
        ("unreadable images", str(shown.count(None)) if None in shown else ""),
        ("image width", f"{_range([width for width, _ in sizes])} pixels" if sizes else ""),
        ("image height", f"{_range([height for _, height in sizes])} pixels" if sizes else ""),
        ("question length", f"{_range(list(map(len, questions)))} characters" if questions else ""),
        *_golds(rows),
    ]
    return [(name, value) for name, value in entries if value]


def _golds(rows: list[_RowFacts]) -> list[tuple[str, str]]:
    """Return facts about the gold answers: the boxes, and the texts."""
    golds = [row.gold for row in rows if row.gold is not None]
    boxes = [(gold_boxes(row.gold), row.size) for row in rows if row.gold is not None]
    drawn = [(x2 - x1, y2 - y1, size) for found, size in boxes if found for x1, y1, x2, y2 in found]
    shares = [100 * width * height / (size[0] * size[1]) for width, height, size in drawn if size]
    entries = []
    if any(found is not None for found, _ in boxes):
        entries.append(
            ("answers that are boxes", f"{sum(found is not None for found, _ in boxes)} of {len(golds)}"),
        )
    if drawn:
        entries += [
            ("boxes of an answer", _range([len(found) for found, _ in boxes if found is not None])),
            ("box width", f"{_range([width for width, _, _ in drawn])} pixels"),
            ("box height", f"{_range([height for _, height, _ in drawn])} pixels"),
            ("box share of the image", f"{_range(shares)} %"),
        ]
    texts = Counter(gold for gold, (found, _) in zip(golds, boxes, strict=True) if found is None)
    if texts:
        frequent = ", ".join(f"{text!r} {count}" for text, count in texts.most_common(5))
        entries.append(("most frequent answers", frequent))
    return entries


def _all_rows(path: Path) -> Iterator[_RowFacts]:
    file = open_rows(path)
    has_hashes = is_converted(file)
    columns = _COLUMNS if has_hashes else (*_COLUMNS, "prompt", "images")
    for batch in file.iter_batches(BATCH_ROWS, columns=[name for name in columns if name in file.schema_arrow.names]):
        for row in batch.to_pylist():
            yield _row_facts(row, path.parent, has_hashes)


def _row_facts(row: Row, folder: Path, has_hashes: bool) -> _RowFacts:
    info = row.get("extra_info")
    info = info if isinstance(info, dict) else {}
    gold = (row.get("reward_model") or {}).get("ground_truth")
    question = info.get("question")
    if has_hashes:
        images: list[str | None] = [*(info["image_sha256"] or "").split()]
        size = (info["orig_w"], info["orig_h"])
    else:
        items = image_items(row.get("images"))
        pictures = [_picture(item, folder) for item in items]
        images = [None if picture is None else picture[0] for picture in pictures]
        size = pictures[0][1] if pictures and pictures[0] else None
        question = row["prompt"] if question is None else question
    question = question[-1].get("content") if isinstance(question, list) and question else question
    source, split, gold, question = (
        None if value is None else str(value) for value in (row.get("data_source"), info.get("split"), gold, question)
    )
    return _RowFacts(source, split, gold, question, images, size)


def _picture(item: Any, folder: Path) -> tuple[str, tuple[int, int]] | None:
    """Return the hash of an image's file, and its size in pixels; None if it cannot be read."""
    import PIL.Image

    try:
        data = image_file(item, folder) or b""
        with PIL.Image.open(io.BytesIO(data)) as image:
            return hashlib.sha256(data).hexdigest(), image.size
    except Exception:  # on broken files, Pillow's decoders raise errors of any type
        return None


def _counts(values: list[str | None]) -> str:
    given = [value for value in values if value is not None]
    return ", ".join(f"{value} {count}" for value, count in sorted(Counter(given).items()))


def _range(values: Sequence[float]) -> str:
    """Return smallest, median and largest value as text."""
    if not values:
        return "none"
    low, middle, high = (f"{value:.1f}".removesuffix(".0") for value in (min(values), median(values), max(values)))
    return low if low == high else f"{low} to {high} (median {middle})"
