"""A form of data that can be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_prep.schema import Row

Raw = dict[str, Any]


class UnusableRow(NamedTuple):
    """Why a raw row is not asked: it is counted by `reason`, and `detail` says what was found."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class DataFormat:
    """One form of data.

    Args:
        name: for `--format`.
        columns: that its parquet has, among others.
        read: (raw row, its number, split of its file) to a row with the fields of `data_prep.schema`; `extra_info` may
            have more: `subject`, `type`, `choices`, and what `score` reads.
        score: (response, row) to a dict with the keys of a reward; None for the reward of training.
    """

    name: str
    columns: frozenset[str]
    read: Callable[[Raw, int, str], Row | UnusableRow]
    score: Callable[[str, Row], dict] | None = None
