"""Geometry3K as InterGPS distributes it: a folder for each problem, plain or in zip archives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from data_prep.raw.files import UNREADABLE, beside, read_bytes
from data_prep.raw.json_files import decoded
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import choice_text, text_of
from data_prep.types import Location, RawRow, RejectedRow, Rejection, Sample, raw_row

SPLITS = ("train", "val", "test")


def _problems(source: Source) -> list[tuple[str, Location]]:
    """Return virtual path and location of each problem's data.json: the unpacked one if there is one."""
    problems: dict[tuple[str, str], tuple[str, Location]] = {}
    for path, location in source.files.named("data.json"):
        key = _split_and_id(path)
        if key and (key not in problems or (isinstance(location, str) and not isinstance(problems[key][1], str))):
            problems[key] = path, location
    return sorted(problems.values(), key=lambda problem: (len(problem[0]), problem[0]))


def _split_and_id(path: str) -> tuple[str, str] | None:
    parts = PurePosixPath(path).parts
    return (parts[-3], parts[-2]) if len(parts) > 2 and parts[-3] in SPLITS else None


def _rows(source: Source) -> Iterator[RawRow | RejectedRow]:
    diagrams = {str(location): location for _, location in source.files.named("img_diagram.png")}
    for path, location in _problems(source):
        split, id = _split_and_id(path) or ("", "")
        missing = {"reject": "image_missing", "detail": f"no img_diagram.png beside {path}"}
        diagram = diagrams.get(str(beside(location, "img_diagram.png")), missing)
        try:
            problem = json.loads(decoded(read_bytes(location)))
        except UNREADABLE as error:
            yield RejectedRow(split, path, Rejection("file_unreadable", f"{error}"[:200]))
            continue
        except (ValueError, RecursionError) as error:
            yield RejectedRow(split, path, Rejection("json_malformed", f"{error}"[:200]))
            continue
        if not isinstance(problem, dict):
            yield RejectedRow(split, path, Rejection("row_malformed", f"got {str(problem)[:80]!r}, expected an object"))
            continue
        fields = {key: problem.get(key) for key in ("annotat_text", "problem_text", "choices", "answer")}
        fields |= {"id": id, "location": diagram}
        yield raw_row(split, path, fields, f"{split}/{id}", same=(f"{split}/{id}",))


def read_intergps(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one problem; its answer is the text of the choice that the letter names."""
    choices = raw["choices"]
    if not isinstance(choices, list):
        return Rejection("row_malformed", f"choices: got {choices!r}, expected a list"[:200])
    letter = text_of(raw["answer"])
    answer = choice_text(choices, letter) if letter else Rejection("answer_empty")
    if isinstance(answer, Rejection):
        return answer
    question = text_of(raw["annotat_text"]) or text_of(raw["problem_text"])
    return question_sample(raw["id"], question, answer, [raw["location"]], choices=choices)


INTERGPS = RawForm(
    "intergps",
    "{train,val,test}/ID/{data.json,img_diagram.png}, in folders or zip archives",
    lambda source: bool(_problems(source)),
    _rows,
    read_intergps,
)
