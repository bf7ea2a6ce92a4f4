"""Parquet files of questions, answers and images: MMK12, with images inside, and ViRL39K, with names of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_prep.raw.parquet_files import parquet_files_with, parquet_rows
from data_prep.raw.split_names import split_of_file
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import text_of
from data_prep.types import RawRow, RejectedRow, Rejection, Sample, raw_row


def question_form(id_column: str, subject_column: str, default_split: str, about: str) -> RawForm:
    """Build the form with the columns question, answer, image and `id_column`.

    Args:
        id_column: the column of ids.
        subject_column: the column of subjects; it may be absent.
        default_split: split of a file whose name has none.
        about: layout on disk, for the help.
    """
    columns = {"question", "answer", "image", id_column}

    def list_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
        for path in parquet_files_with(source.files, columns):
            for where, block, row in parquet_rows(path, "image", source.files):
                id = text_of(row[id_column])
                fields = {"id": id or where, "subject": row.get(subject_column)}
                fields |= {key: row[key] for key in ("question", "answer", "image")}
                same = (id, text_of(row["question"]), text_of(row["answer"])) if id else ()
                yield raw_row(split_of_file(path, default_split), where, fields, where, block, same)

    def recognise(source: Source) -> bool:
        return bool(parquet_files_with(source.files, columns))

    return RawForm("parquet", about, recognise, list_rows, read_question)


def read_question(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one question."""
    return question_sample(raw["id"], raw["question"], raw["answer"], raw["image"], raw["subject"])
