"""The answers of a results folder, each with the raw row that it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from verl_plugins.evaluate.data_rows import DataFile, data_sha256, raw_rows, split_of
from verl_plugins.evaluate.format import Raw, UnusableRow
from verl_plugins.evaluate.recognise import FORMATS, OWN
from verl_plugins.evaluate.results_folder import read_facts, read_results
from verl_plugins.evaluate.scoring import REJECTED, Line


class Answered(NamedTuple):
    """An answer.

    benchmark: name of the format of its file.
    split: split of its file.
    line: its line of results.
    raw: the row as the Hub's parquet has it.
    """

    benchmark: str
    split: str
    line: Line
    raw: Raw


def answers_in(folder: Path) -> Iterator[Answered]:
    """Return the answers to the questions of benchmarks in a results folder, in the order of the files and rows.

    Rows that were rejected, and rows that are no benchmark's, are left out.

    Raises:
        SystemExit: the folder holds no evaluation, or a damaged one; and, while the answers are taken, a file of data
            is gone or has changed since.
    """
    evaluation = read_facts(folder)
    lines = [line for line in read_results(folder, evaluation) if line["status"] != REJECTED]
    return _answers(lines, evaluation["data"])


def _answers(lines: Sequence[Line], data: Sequence[dict[str, Any]]) -> Iterator[Answered]:
    for number, facts in enumerate(data):
        if facts["format"] == OWN.name:
            continue
        file = _same_file(facts)
        of_file = [line for line in lines if line["file"] == number]
        for line, raw in zip(of_file, raw_rows(file, [line["row"] for line in of_file]), strict=True):
            assert not isinstance(raw, UnusableRow), line
            yield Answered(file.form.name, split_of(file.path), line, raw)


def model_name(folder: Path) -> str:
    """Return the last two parts of the model's path, joined by "__", as lmms-eval names models."""
    return "__".join(Path(read_facts(folder)["model"]["path"]).parts[-2:]).replace("/", "")


def _same_file(facts: dict[str, Any]) -> DataFile:
    path, form = Path(facts["path"]), FORMATS[facts["format"]]
    if not path.is_file() or data_sha256(path, form) != facts["sha256"]:
        raise SystemExit(
            f"{path}: got no such file, or another than was evaluated, expected it: an export has its questions"
        )
    return DataFile(path, form, facts["sha256"], (), ())
