"""The user's own rows, in JSON lines, JSON, CSV or parquet, whose fields options name or a layout has."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.raw.field_paths import field_at
from data_prep.raw.image_values import image_content, image_items
from data_prep.raw.split_names import split_of_file
from data_prep.raw.tables import TableRow, table_rows
from data_prep.raw_forms.named_fields import NamedFields
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.raw_forms.val_split import drawn_rows
from data_prep.row.boxes import parse_boxes
from data_prep.row.choices import answer_among, parse_choices, with_choices
from data_prep.row.expression_sample import asked_expression, boxes_sample
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import text_of
from data_prep.types import Location, RawRow, RejectedRow, Rejection, Sample, raw_row


def _rows(source: Source) -> Iterator[RawRow | RejectedRow]:
    assert source.own is not None
    fraction, seed = source.own.val_fraction, source.own.seed
    listed = [row for path in source.own.files for row in _rows_of(path, source)]
    yield from (row for row in listed if isinstance(row, RejectedRow))
    rows = [row for row in listed if isinstance(row, RawRow)]
    if fraction is not None:
        splits = {row.split for row in rows} - {"train"}
        if splits:
            raise SystemExit(
                f"--val-fraction: got {fraction} and files of {', '.join(sorted(splits))}, expected files of train "
                "alone; leave it out"
            )
        drawn = drawn_rows([row.group.split("|") for row in rows], fraction, seed)
        rows = [replace(row, split="val") if number in drawn else row for number, row in enumerate(rows)]
    yield from rows


def _rows_of(path: Path, source: Source) -> Iterator[RawRow | RejectedRow]:
    """Yield the rows of one table; their split is that in the file's name, or train."""
    assert source.own is not None
    fields, split = source.own.fields, split_of_file(Path(path.name), "train")
    for row in table_rows(path, fields.paths()):
        if isinstance(row.fields, Rejection):
            yield RejectedRow(split, row.where, row.fields)
        else:
            yield _raw_row(row, row.fields, path, split, fields, source)


def _raw_row(
    row: TableRow, values: dict[str, Any], path: Path, split: str, fields: NamedFields, source: Source
) -> RawRow:
    """Build a raw row of the values of the named fields, with the locations of its images."""
    images, keys = [], []
    for name in fields.images:
        for item, value in enumerate(image_items(field_at(values, name))):
            place = {"table": str(path), "block": row.block, "row": row.place, "field": name, "item": item}
            location, key = _located(value, place, path.parent, source)
            images.append(location)
            keys.append(key)
    id, text = text_of(_value(values, fields.id)), _value(values, fields.text)
    gold = _value(values, fields.answer or fields.box)
    raw = {"id": id or row.where, "text": text, "is_expression": fields.is_expression, "images": images}
    if fields.box is None:
        raw |= {"answer": gold, "choices": _value(values, fields.choices)}
    else:
        raw |= {"boxes": gold, "format": fields.box_format, "scale": fields.box_scale}
    block = f"{path}#{row.block}" if path.suffix.lower() == ".parquet" else ""
    same = (id or str(text), str(text), json.dumps(gold, default=str), *keys)
    return raw_row(split, row.where, raw, "|".join(keys) or row.where, block, same)


def _value(values: dict[str, Any], path: str | None) -> Any:
    return None if path is None else field_at(values, path)


def _located(value: Any, place: dict[str, Any], folder: Path, source: Source) -> tuple[Location, str]:
    """Return where an image is, and a key that rows with the same image share.

    A name is looked up from the folder of the table, and then as `Files.find` does.
    """
    content = image_content(value)
    if isinstance(content, bytes):
        return place, hashlib.blake2b(content, digest_size=16).hexdigest()
    if content is None:
        return {"reject": "image_missing", "detail": f"got {str(value)[:80]!r}, expected a path or bytes"}, str(place)
    beside = os.path.join(folder, content)
    location = os.path.abspath(beside) if os.path.isfile(beside) else source.files.locate(content)
    return location, str(location).replace("|", "/")


def read_own_row(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one row: a question with its answer, or with the boxes of what it asks for."""
    if "boxes" in raw:
        question, answer = text_of(raw["text"]), raw["boxes"]
        if raw["is_expression"]:
            question, answer = asked_expression(raw["text"])
        boxes = parse_boxes(raw["boxes"], raw["format"])
        return boxes_sample(raw["id"], question, answer, boxes, raw["images"], raw["scale"])
    choices = parse_choices(raw["choices"])
    if isinstance(choices, Rejection):
        return choices
    if isinstance(raw["answer"], list) and len(raw["answer"]) > 1:
        return Rejection("answer_not_unique", f"{raw['answer']}"[:80])
    if choices is None:
        return question_sample(raw["id"], raw["text"], raw["answer"], raw["images"])
    answer = answer_among(choices, text_of(raw["answer"]))
    if isinstance(answer, Rejection):
        return answer
    question = with_choices(text_of(raw["text"]), choices)
    return question_sample(raw["id"], question, answer, raw["images"], choices=list(choices))


OWN_ROWS = RawForm(
    "fields",
    "a file, or a folder of files, .jsonl, .json (a list), .csv or .parquet, whose fields the options name",
    lambda source: source.own is not None,
    _rows,
    read_own_row,
)
