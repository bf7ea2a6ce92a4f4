"""The order of the rows and their division into shards and parts: a function of source, seed and options."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from data_prep.types import RawRow

PART_ROWS = 1024  # a part is what one process does at a time, and what an interruption can lose

IndexedRow = tuple[int, RawRow]  # the row's position in its split's source, and the row


@dataclass(frozen=True)
class Part:
    """Consecutive rows of one shard.

    Args:
        split: name of the split.
        shard: number of the shard.
        rows: what to convert.
        key: hash of the rows and of everything that decides how they are converted.
    """

    split: str
    shard: int
    rows: tuple[IndexedRow, ...]
    key: str


def in_order(rows: Sequence[RawRow], seed: int, max_rows: int | None) -> list[IndexedRow]:
    """At most `max_rows` rows, drawn by `seed`; blocks, and groups within a block, in an order drawn by `seed`."""
    rng = Random(seed)
    numbers: Iterable[int] = range(len(rows))
    if max_rows is not None and max_rows < len(rows):
        numbers = sorted(rng.sample(range(len(rows)), max_rows))
    blocks: dict[str, dict[str, list[IndexedRow]]] = {}
    for number in numbers:
        row = rows[number]
        blocks.setdefault(row.block, {}).setdefault(row.group, []).append((number, row))
    shuffled = [rng.sample(list(groups.values()), len(groups)) for groups in blocks.values()]
    return [row for groups in rng.sample(shuffled, len(shuffled)) for group in groups for row in group]


def divide(split: str, rows: Sequence[IndexedRow], shards: int, manner: str) -> list[Part]:
    """The parts of all shards of a split; `manner` is the text of everything that decides how rows are converted."""
    parts = []
    for shard in range(shards):
        start, end = (len(rows) * edge // shards for edge in (shard, shard + 1))
        for first in range(start, end, PART_ROWS):
            chosen = tuple(rows[first : min(first + PART_ROWS, end)])
            parts.append(Part(split, shard, chosen, _key(manner, split, chosen)))
    return parts


def _key(manner: str, split: str, rows: tuple[IndexedRow, ...]) -> str:
    digest = hashlib.sha256(f"{manner}\n{split}\n".encode())
    for index, row in rows:
        digest.update(f"{index}\n{row.source}\n".encode() + row.data + b"\n")
    return digest.hexdigest()[:32]
