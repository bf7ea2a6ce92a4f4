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


class ValidationRow(NamedTuple):
    """A row of a validation file: the file's place in the list, the row's number, its question and its data source."""

    file: int
    index: int
    question: str
    source: str


class ValidationRows:
    """The rows of a run's validation files.

    Args:
        files: the files, in any order.

    Raises:
        FileNotFoundError: a file does not exist.
    """

    def __init__(self, files: Sequence[Path]):
        self.files = list(files)
        self._by_gold: dict[str, list[ValidationRow]] = defaultdict(list)
        for number, path in enumerate(self.files):
            columns = {"reward_model", "extra_info", "data_source"} & set(pq.read_schema(path).names)
            for index, row in enumerate(pq.read_table(path, columns=sorted(columns)).to_pylist()):
                question = (row.get("extra_info") or {}).get("question")
                if question:
                    gold = str((row.get("reward_model") or {}).get("ground_truth"))
                    source = str(row.get("data_source") or "")
                    self._by_gold[gold].append(ValidationRow(number, index, question, source))

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
