"""Geometry3K as parquet files of the Hub (hiyouga): three columns; newer files also have id, choices and letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_prep.raw.parquet_files import parquet_files_with, parquet_rows
from data_prep.raw.split_names import split_of_file
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import choice_text, text_of
from data_prep.types import RawRow, RejectedRow, Rejection, Sample, raw_row

_COLUMNS = {"images", "problem", "answer"}


def _rows(source: Source) -> Iterator[RawRow | RejectedRow]:
    for path in parquet_files_with(source.files, _COLUMNS):
        for where, block, row in parquet_rows(path, "images", source.files):
            fields = {key: row.get(key) for key in ("id", "problem", "answer", "choices", "ground_truth", "images")}
            id = text_of(row.get("id"))
            same = (id, text_of(row["problem"]), text_of(row["answer"])) if id else ()
            fields["id"] = id or where
            yield raw_row(split_of_file(path), where, fields, where, block, same)


def read_hub(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one problem; if the row has the letter of a choice too, it must name the answer."""
    answer, letter, choices = text_of(raw["answer"]), text_of(raw["ground_truth"]), raw["choices"]
    if letter and isinstance(choices, list):
        choice = choice_text(choices, letter)
        if isinstance(choice, Rejection):
            return choice
        if answer not in ("", letter, choice):
            return Rejection("answer_disagrees", f"answer {answer[:80]!r}, choice {letter} is {choice[:80]!r}")
        answer = choice
    return question_sample(raw["id"], raw["problem"], answer, raw["images"], choices=choices)


HUB = RawForm(
    "hub",
    "parquet files of the Hub (hiyouga): images, problem, answer, and in newer ones id, choices, ground_truth",
    lambda source: bool(parquet_files_with(source.files, _COLUMNS)),
    _rows,
    read_hub,
)
