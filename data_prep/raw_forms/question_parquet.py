"""Parquet files of questions, answers and images: MMK12, with images inside, and ViRL39K, with paths to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_prep.raw.parquet_files import parquet_rows
from data_prep.raw.split_names import files_with, split_of_file
from data_prep.raw_forms.raw_form import Format, Source
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import text_of
from data_prep.types import RawRow, Reject, RejectedRow, Sample, raw_row


def question_format(id_column: str, subject_column: str, otherwise: str, about: str) -> Format:
    """The form with these columns, one of ids and perhaps one of subjects.

    `otherwise` is the split of a file whose name tells none.
    """
    columns = {"question", "answer", "image", id_column}

    def list_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
        for path in files_with(source, columns):
            for where, block, row in parquet_rows(path, "image", source.files):
                id = text_of(row[id_column])
                fields = {"id": id, "subject": row.get(subject_column)}
                fields |= {key: row[key] for key in ("question", "answer", "image")}
                same = (id, text_of(row["question"]), text_of(row["answer"])) if id else ()
                yield raw_row(split_of_file(path, otherwise), where, fields, where, block, same)

    return Format("parquet", about, lambda source: bool(files_with(source, columns)), list_rows, read_question)


def read_question(raw: dict[str, Any]) -> Sample | Reject:
    """The sample of one question."""
    return question_sample(raw["id"], raw["question"], raw["answer"], raw["image"], raw["subject"])
