"""Reads rows of parquet files without holding all their images in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.row.schema import row_schema
from data_prep.types import Row

if TYPE_CHECKING:
    import pyarrow.parquet as pq

BATCH_ROWS = 64  # rows in memory at a time; row groups written by other programs can be large


def open_converted(path: Path) -> pq.ParquetFile:
    """Open a parquet file that data_prep wrote.

    Raises:
        SystemExit: it is not a parquet file, or does not have the schema `row_schema()`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SystemExit(f"{path}: expected a parquet file, got {error}") from None
    if not file.schema_arrow.equals(row_schema()):
        raise SystemExit(
            f"{path}: expected a file that python -m data_prep wrote, got columns {file.schema_arrow.names}"
        )
    return file


def field_values(path: Path, column: str, field: str) -> list[Any]:
    """Return one field of a column of structs, for all rows."""
    file = open_converted(path)
    batches = file.iter_batches(columns=[f"{column}.{field}"])
    return [value[field] for batch in batches for value in batch.column(0).to_pylist()]


def sampled_rows(file: pq.ParquetFile, count: int) -> Iterator[tuple[int, Row]]:
    """Yield at most `count` evenly spaced rows, each with its number."""
    total = file.metadata.num_rows
    count = min(count, total)
    yield from rows_at(file, {total * number // count for number in range(count)})


def rows_at(
    file: pq.ParquetFile, numbers: Iterable[int], columns: Sequence[str] | None = None
) -> Iterator[tuple[int, Row]]:
    """Yield the rows with these numbers, in the order of the file, each with its number.

    Args:
        file: a parquet file.
        numbers: numbers of rows, from 0.
        columns: names of the columns to read; None for all.
    """
    selected, first = set(numbers), 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if selected.isdisjoint(range(first, first + size)):
            first += size
            continue
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
            for offset in range(batch.num_rows):
                if first + offset in selected:
                    yield first + offset, batch.slice(offset, 1).to_pylist()[0]
            first += batch.num_rows
