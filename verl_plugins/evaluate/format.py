"""Formats of data that can be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_prep.types import Row
from verl_plugins.evaluate.annotations import DiskLayout

Raw = dict[str, Any]


class UnusableRow(NamedTuple):
    """A raw row that cannot be evaluated. It is counted by `reason`; `detail` says what the row has instead."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class DataFormat:
    """One format of data.

    Args:
        name: name for `--format`.
        columns: columns that every parquet file of this format has; it may have others.
        read: maps (raw row, its number, split of its file) to a row with the fields of `data_prep.row.schema`; its
            `extra_info` may also have `subject`, `type`, `choices`, and what `score` reads.
        score: maps (response, row) to a dict with the keys of a reward; None to use the reward of training.
        layout: how its authors' own files lie on disk, which become rows with `columns`; None if they are not read.
    """

    name: str
    columns: frozenset[str]
    read: Callable[[Raw, int, str], Row | UnusableRow]
    score: Callable[[str, Row], dict] | None = None
    layout: DiskLayout | None = None
