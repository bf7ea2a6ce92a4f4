"""VLM-R1's JSON lists and JSON lines of referring expressions; they name images of COCO's train2014.

Its archive has a split as JSON and as JSON lines, and RefGTA on the original and on smaller images. Of such files with
the same rows, one is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.raw.coco import coco_file, locate_coco
from data_prep.raw.json_files import json_rows
from data_prep.raw.split_names import split_of_file
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.row.boxes import disagree, parse_box
from data_prep.row.expression_sample import expression_sample
from data_prep.row.texts import from_json, text_of
from data_prep.types import Box, RawRow, RejectedRow, Rejection, Sample, raw_row

_SMALLER = "_resize"  # ends the name of a file that fits smaller images


def vlm_r1_form(prefix: str, default_split: str = "") -> RawForm:
    """Build the form of files named PREFIX_SPLIT.json or .jsonl.

    Args:
        prefix: a regular expression.
        default_split: split of a file whose name has none, such as refgta_subsample.json.
    """
    name = re.compile(rf"{prefix}_[\w-]+\.jsonl?", re.IGNORECASE)

    def files(source: Source) -> list[Path]:
        paths = source.files.plain(".json", ".jsonl")
        return [path for path in paths if path == source.path.absolute() or name.fullmatch(path.name)]

    def list_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
        for path in _one_of_each(files(source)):
            split = split_of_file(path, default_split)
            for where, row in json_rows(path):
                if isinstance(row, Rejection):
                    yield RejectedRow(split, where, row)
                else:
                    yield _with_location(row, split, where, source)

    about = f"{prefix}_SPLIT.json or .jsonl of VLM-R1 (image, problem, solution, or conversations); set --image-root"
    read = read_refcoco if prefix.startswith("refcoco") else read_vlm_r1
    return RawForm("vlm-r1", about, lambda source: bool(files(source)), list_rows, read)


def _one_of_each(paths: list[Path]) -> list[Path]:
    """Return one file of those with the same rows, and print which ones are not read.

    JSON is preferred to JSON lines, since only it has the sizes of the images, and original images to smaller ones.
    """
    chosen: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: (path.suffix, path.stem.endswith(_SMALLER), path)):
        first = chosen.setdefault(path.stem.lower().removesuffix(_SMALLER), path)
        if first != path:
            print(f"{path} is not read: {first} has the same rows; name a single file with --source to choose another")
    return list(chosen.values())


def _with_location(row: dict[str, Any], split: str, where: str, source: Source) -> RawRow:
    images = row.get("image")
    name = coco_file(images)
    keys = ("problem", "solution", "normalized_solution", "conversations", "width", "height")
    fields = {key: row.get(key) for key in keys if key in row}
    question = text_of(row.get("problem")) or str(row.get("conversations"))
    id = text_of(row.get("id") if row.get("id") is not None else row.get("original_id"))
    same = (id, name, question, str(row.get("solution"))) if id else ()
    fields["id"] = id or where
    return raw_row(split, where, {**fields, "location": locate_coco(source.files, name)}, name or where, same=same)


def read_refcoco(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one row of RefCOCO, + or g, as `read_vlm_r1` does."""
    return read_vlm_r1(raw, is_refcoco=True)


def read_vlm_r1(raw: dict[str, Any], is_refcoco: bool = False) -> Sample | Rejection:
    """Read one row; a solution that disagrees with its normalised form is rejected, since it is not in pixels."""
    size = (raw.get("width"), raw.get("height"))
    if "conversations" in raw:
        turns = _question_and_answer(raw["conversations"])
        if isinstance(turns, Rejection):
            return turns
        question, box = turns[0], parse_box(turns[1])
    else:
        question, box = raw.get("problem"), parse_box(raw.get("solution"))
        if not isinstance(box, Rejection) and _disagrees(box, raw.get("normalized_solution"), size):
            return Rejection("box_disagrees", f"solution {raw['solution']}, normalised {raw['normalized_solution']}")
    return expression_sample(raw["id"], question, box, raw["location"], size, is_refcoco)


def _question_and_answer(conversations: Any) -> tuple[Any, Any] | Rejection:
    try:
        turns = from_json(conversations)
        messages = [(turn["from"], turn["value"]) for turn in turns]
    except (ValueError, TypeError, KeyError) as error:
        return Rejection("conversation_malformed", f"{error!r}"[:200])
    questions = [value for speaker, value in messages if speaker in ("human", "user")]
    answers = [value for speaker, value in messages if speaker in ("gpt", "assistant")]
    if len(questions) != 1 or len(answers) != 1:
        return Rejection("conversation_malformed", f"{len(questions)} questions, {len(answers)} answers")
    return questions[0], answers[0]


def _disagrees(box: Box, normalized: Any, size: tuple[Any, Any]) -> bool:
    other = parse_box(normalized)
    if isinstance(other, Rejection) or not all(isinstance(side, int | float) and side > 0 for side in size):
        return False
    scale = [1000 / size[0], 1000 / size[1]] * 2
    return disagree((box[0] * scale[0], box[1] * scale[1], box[2] * scale[2], box[3] * scale[3]), other, tolerance=2)
