"""The loop that answers and scores rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat

from data_prep.types import Row
from verl_plugins.evaluate.data_rows import DataFile, read_rows
from verl_plugins.evaluate.format import UnusableRow
from verl_plugins.evaluate.responder import Responder
from verl_plugins.evaluate.scoring import rejected_line, result_line
from verl_plugins.evaluate.settings import Settings
from verl_plugins.evaluate.store import Key, Store

THREADS = 8
"""Threads that compute rewards, as in verl's reward worker."""


def answer_rows(
    data: Sequence[DataFile], keys: Sequence[Key], done: int, settings: Settings, responder: Responder, store: Store
) -> None:
    """Answer the remaining rows batch by batch, score the answers, and append each batch to the store.

    Args:
        data: the files.
        keys: all rows of the evaluation, in order.
        done: number of rows that the store holds already.
        settings: batch size and rewards.
        responder: answers a batch; a row's seed depends on its file's hash and its number.
        store: receives the results.
    """
    from tqdm import tqdm

    remaining = iter(_rows(data, keys[done:]))
    with tqdm(total=len(keys), initial=done, unit="row") as bar, ThreadPoolExecutor(THREADS) as threads:
        while batch := list(islice(remaining, settings.batch_size)):
            asked = [(key, row) for key, row in batch if not isinstance(row, UnusableRow)]
            rows = [row for _, row in asked]
            answers = responder(rows, [f"{data[number].sha256}/{row}" for (number, row), _ in asked])
            forms = [data[number].form for (number, _), _ in asked]
            scored = threads.map(result_line, rows, answers, forms, repeat(settings.reward))
            lines = [
                {
                    "file": number,
                    "row": row_number,
                    **(rejected_line(row) if isinstance(row, UnusableRow) else next(scored)),
                }
                for (number, row_number), row in batch
            ]
            store.append(lines)
            bar.update(len(batch))


def _rows(data: Sequence[DataFile], keys: Sequence[Key]) -> Iterator[tuple[Key, Row | UnusableRow]]:
    for number, file in enumerate(data):
        row_numbers = [row for file_number, row in keys if file_number == number]
        for row_number, row in zip(row_numbers, read_rows(file, row_numbers), strict=True):
            yield (number, row_number), row
