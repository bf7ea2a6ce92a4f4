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
from data_prep.raw.tables import TableRow, block_of, table_rows, texts_of_bytes
from data_prep.raw_forms.picture_keys import PictureKeys
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
    keys = PictureKeys()
    unnamed = [path.name for path in source.own.files if not _split_of(path, source, "")]
    if unnamed and len(source.own.files) > 1:
        print(f"no split in the name, so taken for train: {', '.join(unnamed)}")
    listed = [row for path in source.own.files for row in _rows_of(path, source, keys)]
    yield from (row for row in listed if isinstance(row, RejectedRow))
    by_content = keys.by_content()
    rows = [_with_pictures(row, by_content) for row in listed if isinstance(row, RawRow)]
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


def _with_pictures(row: RawRow, by_content: dict[str, str]) -> RawRow:
    """Return a row whose group, and with it the identity, tells pictures by their content."""
    group = "|".join(by_content.get(key, key) for key in row.group.split("|"))
    identity = row.identity and hashlib.blake2b(row.identity + group.encode(), digest_size=16).digest()
    return replace(row, group=group, identity=identity)


def _rows_of(path: Path, source: Source, keys: PictureKeys) -> Iterator[RawRow | RejectedRow]:
    """Yield the rows of one table; their split is that in the name of its file or folder, or train."""
    assert source.own is not None
    fields, split = source.own.fields, _split_of(path, source, "train")
    for row in table_rows(path, fields.paths()):
        values = row.fields if isinstance(row.fields, Rejection) else texts_of_bytes(row.fields, fields.texts())
        if isinstance(values, Rejection):
            yield RejectedRow(split, row.where, values)
        else:
            yield _raw_row(row, values, path, split, source, keys)


def _split_of(path: Path, source: Source, default: str) -> str:
    """Return the split in the name of a table, or of its folder if that is below the source."""
    root = source.path.absolute()
    return split_of_file(Path(path.name) if path == root else path.relative_to(root), default)


def _raw_row(
    row: TableRow, values: dict[str, Any], path: Path, split: str, source: Source, picture_keys: PictureKeys
) -> RawRow:
    """Build a raw row of the values of the named fields, with the locations of its images; its group has their keys."""
    assert source.own is not None
    fields = source.own.fields
    images: list[Location] = []
    keys = []
    for name in fields.images:
        for item, value in enumerate(image_items(field_at(values, name))):
            place = {"table": str(path), "block": row.block, "row": row.place, "field": name, "item": item}
            location, key = _located(value, place, path.parent, source, picture_keys)
            images.append(location)
            keys.append(key)
    id, text = text_of(_value(values, fields.id)), _value(values, fields.text)
    gold, choices = _value(values, fields.answer or fields.box), _value(values, fields.choices)
    raw = {"id": id or row.where, "text": text, "is_expression": fields.is_expression, "images": images}
    if fields.box is None:
        raw |= {"answer": gold, "choices": choices}
    else:
        raw |= {"boxes": gold, "format": fields.box_format, "scale": fields.box_scale}
    same = (id or str(text), str(text), json.dumps([gold, choices], default=str))
    block = block_of(path, row.block, has_images=any(isinstance(image, dict) and "table" in image for image in images))
    return raw_row(split, row.where, raw, "|".join(keys) or row.where, block, same)


def _value(values: dict[str, Any], path: str | None) -> Any:
    return None if path is None else field_at(values, path)


def _located(
    value: Any, place: dict[str, Any], folder: Path, source: Source, keys: PictureKeys
) -> tuple[Location, str]:
    """Return where an image is, and its key.

    A name is looked up from the folder of the table, and then as `Files.find` does.
    """
    content = image_content(value)
    if isinstance(content, bytes):
        return place, keys.of_bytes(content)
    if content is None:
        return {"reject": "image_missing", "detail": f"got {str(value)[:80]!r}, expected a path or bytes"}, str(place)
    beside = os.path.join(folder, content)
    location = os.path.abspath(beside) if os.path.isfile(beside) else source.files.locate(content)
    return location, keys.of_file(location)


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
