"""Geometry3K as parquet files of the Hub (hiyouga): three columns, in newer ones also id, choices and letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_prep.raw.parquet_files import parquet_rows
from data_prep.raw.split_names import files_with, split_of_file
from data_prep.raw_forms.raw_form import Format, Source
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import choice_text, text_of
from data_prep.types import RawRow, Reject, RejectedRow, Sample, raw_row

_COLUMNS = {"images", "problem", "answer"}


def _rows(source: Source) -> Iterator[RawRow | RejectedRow]:
    for path in files_with(source, _COLUMNS):
        for number, (where, block, row) in enumerate(parquet_rows(path, "images", source.files)):
            fields = {key: row.get(key) for key in ("id", "problem", "answer", "choices", "ground_truth", "images")}
            id = text_of(row.get("id"))
            same = (id, text_of(row["problem"]), text_of(row["answer"])) if id else ()
            fields["id"] = id or f"{path.stem}-{number}"
            yield raw_row(split_of_file(path), where, fields, where, block, same)


def read_hub(raw: dict[str, Any]) -> Sample | Reject:
    """The sample of one problem; where a letter is given too, it must name the answer."""
    answer, letter, choices = text_of(raw["answer"]), text_of(raw["ground_truth"]), raw["choices"]
    if letter and isinstance(choices, list):
        chosen = choice_text(choices, letter)
        if isinstance(chosen, Reject):
            return chosen
        if answer not in ("", letter, chosen):
            return Reject("answer_disagrees", f"answer {answer[:80]!r}, choice {letter} is {chosen[:80]!r}")
        answer = chosen
    return question_sample(raw["id"], raw["problem"], answer, raw["images"], choices=choices)


HUB = Format(
    "hub",
    "parquet files of the Hub (hiyouga): images, problem, answer, and in newer ones id, choices, ground_truth",
    lambda source: bool(files_with(source, _COLUMNS)),
    _rows,
    read_hub,
)
