"""Puts the rows of a run in order and divides them into shards and parts, from source, seed and options alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from data_prep.types import RawRow

PART_ROWS = 1024  # a process converts one part at a time; an interruption loses at most the parts in progress

IndexedRow = tuple[int, RawRow]  # the row's position among the raw rows of its split, and the row


@dataclass(frozen=True)
class Part:
    """Consecutive rows of one shard.

    Args:
        split: name of the split.
        shard: number of the shard.
        rows: the raw rows to convert.
        key: hash of the rows and of everything that decides how they are converted.
    """

    split: str
    shard: int
    rows: tuple[IndexedRow, ...]
    key: str


def in_order(rows: Sequence[RawRow], seed: int, max_rows: int | None) -> list[IndexedRow]:
    """Draw at most `max_rows` rows and shuffle them, both by `seed`.

    Rows of one block stay together, and within a block the rows of one group do: blocks are shuffled among each
    other, and so are the groups of each block.
    """
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


def divide(
    split: str, rows: Sequence[IndexedRow], shards: int, settings: str, stamp: Callable[[RawRow], str]
) -> list[Part]:
    """Divide the rows of a split into shards of equal size, and each shard into parts of PART_ROWS rows.

    Args:
        split: name of the split.
        rows: in the order in which they will be written.
        shards: number of shards.
        settings: text of everything that decides how rows are converted; it enters the key of each part.
        stamp: a text for each row that changes with the files of its images; it enters the key, too.
    """
    parts = []
    for shard in range(shards):
        start, end = (len(rows) * edge // shards for edge in (shard, shard + 1))
        for first in range(start, end, PART_ROWS):
            part_rows = tuple(rows[first : min(first + PART_ROWS, end)])
            parts.append(Part(split, shard, part_rows, _key(settings, split, part_rows, stamp)))
    return parts


def _key(settings: str, split: str, rows: tuple[IndexedRow, ...], stamp: Callable[[RawRow], str]) -> str:
    digest = hashlib.sha256(f"{settings}\n{split}\n".encode())
    for index, row in rows:
        digest.update(f"{index}\n{row.source}\n{stamp(row)}\n".encode() + row.data + b"\n")
    return digest.hexdigest()[:32]
