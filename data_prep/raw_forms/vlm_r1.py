"""VLM-R1's JSON lists and JSON lines of referring expressions; images are named, and lie in COCO's train2014."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.raw.json_files import json_rows
from data_prep.raw.split_names import split_of_file
from data_prep.raw_forms.raw_form import Format, Source
from data_prep.row.boxes import disagree, parse_box
from data_prep.row.expression_sample import coco_file, expression_sample
from data_prep.row.texts import from_json, text_of
from data_prep.types import Box, RawRow, Reject, RejectedRow, Sample, raw_row


def vlm_r1_format(prefix: str) -> Format:
    """The form of files whose names start with a pattern ("refcocop") and end in their split: PREFIX_train.json."""
    name = re.compile(rf"{prefix}_[\w-]+\.jsonl?", re.IGNORECASE)

    def files(source: Source) -> list[Path]:
        found = source.files.plain(".json", ".jsonl")
        return [path for path in found if path == source.path.absolute() or name.fullmatch(path.name)]

    def list_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
        for path in files(source):
            split = split_of_file(path)
            for where, row in json_rows(path):
                yield RejectedRow(split, where, row) if isinstance(row, Reject) else _located(row, split, where, source)

    about = f"{prefix}_SPLIT.json or .jsonl of VLM-R1 (image, problem, solution, or conversations); set --image-root"
    return Format("vlm-r1", about, lambda source: bool(files(source)), list_rows, read_vlm_r1)


def _located(row: dict[str, Any], split: str, where: str, source: Source) -> RawRow:
    images = row.get("image")
    name = coco_file(images)
    wanted = ("id", "original_id", "problem", "solution", "normalized_solution", "conversations", "width", "height")
    fields = {key: row.get(key) for key in wanted if key in row}
    said = text_of(row.get("problem")) or str(row.get("conversations"))
    id = text_of(row.get("id") if row.get("id") is not None else row.get("original_id"))
    same = (id, name, said, str(row.get("solution"))) if id else ()
    return raw_row(split, where, {**fields, "location": source.files.locate(name)}, name or where, same=same)


def read_vlm_r1(raw: dict[str, Any]) -> Sample | Reject:
    """The sample of one row; a solution that disagrees with its own normalised form is no box in pixels."""
    id = text_of(raw.get("id") if raw.get("id") is not None else raw.get("original_id"))
    size = (raw.get("width"), raw.get("height"))
    if "conversations" in raw:
        turns = _turns(raw["conversations"])
        if isinstance(turns, Reject):
            return turns
        question, box = turns[0], parse_box(turns[1])
    else:
        question, box = raw.get("problem"), parse_box(raw.get("solution"))
        if not isinstance(box, Reject) and _contradicts(box, raw.get("normalized_solution"), size):
            return Reject("box_disagrees", f"solution {raw['solution']}, normalised {raw['normalized_solution']}")
    return expression_sample(id, question, box, raw["location"], size)


def _turns(conversations: Any) -> tuple[Any, Any] | Reject:
    try:
        turns = from_json(conversations)
        said = [(turn["from"], turn["value"]) for turn in turns]
    except (ValueError, TypeError, KeyError) as error:
        return Reject("conversation_malformed", f"{error!r}"[:200])
    human = [value for speaker, value in said if speaker in ("human", "user")]
    answer = [value for speaker, value in said if speaker in ("gpt", "assistant")]
    if len(human) != 1 or len(answer) != 1:
        return Reject("conversation_malformed", f"{len(human)} questions, {len(answer)} answers")
    return human[0], answer[0]


def _contradicts(box: Box, normalized: Any, size: tuple[Any, Any]) -> bool:
    other = parse_box(normalized)
    if isinstance(other, Reject) or not all(isinstance(side, int | float) and side > 0 for side in size):
        return False
    scale = [1000 / size[0], 1000 / size[1]] * 2
    return disagree((box[0] * scale[0], box[1] * scale[1], box[2] * scale[2], box[3] * scale[3]), other, tolerance=2)
