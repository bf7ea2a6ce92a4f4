"""The loop that answers and scores rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat
from typing import Any

from data_prep.types import Row
from verl_plugins.evaluate.data_rows import DataFile, read_rows
from verl_plugins.evaluate.format import DataFormat, UnusableRow
from verl_plugins.evaluate.responder import Batch, ImageAttack, Responder, Response
from verl_plugins.evaluate.scoring import Line, rejected_line, result_line
from verl_plugins.evaluate.settings import Settings
from verl_plugins.evaluate.store import BatchLog, Key

THREADS = 8
"""Threads that compute rewards, as in verl's reward worker."""


ToLine = Callable[[Row, Response, DataFormat, Mapping[str, Any]], Line]


def answer_rows(
    data: Sequence[DataFile],
    keys: Sequence[Key],
    done: int,
    settings: Settings,
    responder: Responder,
    log: BatchLog,
    attack: ImageAttack | None = None,
    to_line: ToLine = result_line,
) -> None:
    """Answer the remaining rows batch by batch, score the answers, and append each batch to the log.

    Args:
        data: the files.
        keys: all rows of the evaluation, in order.
        done: number of rows that the log holds already.
        settings: batch size and rewards.
        responder: answers a batch; a row's seed depends on its file's hash and its number.
        log: receives the results.
        attack: changes the images of every row; None to leave them as they are.
        to_line: makes a row's line of the log, as `result_line` does.
    """
    from tqdm import tqdm

    asked: deque[list[tuple[Key, Row | UnusableRow]]] = deque()  # batches whose answers have not come yet
    with tqdm(total=len(keys), initial=done, unit="row") as bar, ThreadPoolExecutor(THREADS) as threads:
        for answers in responder.answers(_batches(data, keys[done:], settings.batch_size, asked), attack):
            batch = asked.popleft()
            rows = [row for _, row in batch if not isinstance(row, UnusableRow)]
            forms = [data[number].form for (number, _), row in batch if not isinstance(row, UnusableRow)]
            scored = threads.map(to_line, rows, answers, forms, repeat(settings.reward))
            lines = [
                {
                    "file": number,
                    "row": row_number,
                    **(rejected_line(row) if isinstance(row, UnusableRow) else next(scored)),
                }
                for (number, row_number), row in batch
            ]
            log.append(lines)
            bar.update(len(batch))


def _batches(
    data: Sequence[DataFile], keys: Sequence[Key], size: int, asked: deque[list[tuple[Key, Row | UnusableRow]]]
) -> Iterator[Batch]:
    """Yield the rows of each batch that can be asked, and their keys; the whole batch is appended to `asked` first."""
    remaining = iter(rows_of(data, keys))
    while batch := list(islice(remaining, size)):
        asked.append(batch)
        usable = [(key, row) for key, row in batch if not isinstance(row, UnusableRow)]
        yield [row for _, row in usable], [row_key(data, key) for key, _ in usable]


def row_key(data: Sequence[DataFile], key: Key) -> str:
    """Return the key of a row's random draws: the hash of its file, and its number."""
    number, row = key
    return f"{data[number].sha256}/{row}"


def rows_of(data: Sequence[DataFile], keys: Sequence[Key]) -> Iterator[tuple[Key, Row | UnusableRow]]:
    """Yield the rows with these keys, in their order."""
    for number, file in enumerate(data):
        row_numbers = [row for file_number, row in keys if file_number == number]
        for row_number, row in zip(row_numbers, read_rows(file, row_numbers), strict=True):
            yield (number, row_number), row
