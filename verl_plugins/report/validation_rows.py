"""Match the rows of verl's validation dumps, which hold text only, to the rows of the validation files.

Every validation draws new values of `uid`. A row is therefore known by its ground truth and its question, which is part
of the dump's prompt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from verl_plugins.report.side_files import reason_of


class ValidationRow(NamedTuple):
    """A row of a validation file: the file's place in the list, the row's number, its question and its data source."""

    file: int
    index: int
    question: str
    source: str


def _rows_of(number: int, path: Path) -> list[tuple[str, ValidationRow]]:
    """Return the rows of a file that have a question, each with its ground truth."""
    columns = {"reward_model", "extra_info", "data_source"} & set(pq.read_schema(path).names)
    rows = []
    for index, row in enumerate(pq.read_table(path, columns=sorted(columns)).to_pylist()):
        question = (row.get("extra_info") or {}).get("question")
        if question:
            gold = str((row.get("reward_model") or {}).get("ground_truth"))
            rows.append((gold, ValidationRow(number, index, question, str(row.get("data_source") or ""))))
    return rows


class ValidationRows:
    """The rows of a run's validation files.

    Args:
        files: the files, in any order.

    Raises:
        ValueError: a file is not there, or cannot be read; the message names it.
    """

    def __init__(self, files: Sequence[Path]):
        self.files = list(files)
        self._by_gold: dict[str, list[ValidationRow]] = defaultdict(list)
        for number, path in enumerate(self.files):
            try:
                for gold, row in _rows_of(number, path):
                    self._by_gold[gold].append(row)
            except Exception as error:  # no parquet, or columns of other types than those that verl reads
                raise ValueError(f"{path}: got {reason_of(error)}, expected a parquet file of validation") from error

    def find(self, prompt: str, gold: str) -> ValidationRow | None:
        """Return the only row that a dumped prompt and ground truth fit; None if none or several do."""
        rows = self._candidates(prompt, gold)
        return rows[0] if len(rows) == 1 else None

    def source(self, prompt: str, gold: str) -> str:
        """Return the data source of the rows that a dumped prompt and ground truth fit; "" if none or several."""
        sources = {row.source for row in self._candidates(prompt, gold)}
        return sources.pop() if len(sources) == 1 else ""

    def _candidates(self, prompt: str, gold: str) -> list[ValidationRow]:
        return [row for row in self._by_gold.get(gold, ()) if row.question in prompt]
