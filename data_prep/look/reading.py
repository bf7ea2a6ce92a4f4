"""Reading rows of parquet files without holding their images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.row.schema import Row, row_schema

if TYPE_CHECKING:
    import pyarrow.parquet as pq

AT_ONCE = 64  # rows; row groups of other people's files can be large


def opened(path: Path) -> pq.ParquetFile:
    """A parquet file of our rows.

    Raises:
        SystemExit: it is none.
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
    """One field of a column of structs, for all rows."""
    file = opened(path)
    batches = file.iter_batches(columns=[f"{column}.{field}"])
    return [value[field] for batch in batches for value in batch.column(0).to_pylist()]


def sampled_rows(file: pq.ParquetFile, count: int) -> Iterator[tuple[int, Row]]:
    """At most `count` rows, evenly spaced, with their numbers."""
    total = file.metadata.num_rows
    count = min(count, total)
    yield from rows_at(file, {total * number // count for number in range(count)})


def rows_at(
    file: pq.ParquetFile, numbers: Iterable[int], columns: Sequence[str] | None = None
) -> Iterator[tuple[int, Row]]:
    """The rows with these numbers, in the file's order, with their numbers; AT_ONCE rows are in memory at a time."""
    wanted, first = set(numbers), 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if wanted.isdisjoint(range(first, first + size)):
            first += size
            continue
        for batch in file.iter_batches(AT_ONCE, row_groups=[group], columns=columns):
            for place in range(batch.num_rows):
                if first + place in wanted:
                    yield first + place, batch.slice(place, 1).to_pylist()[0]
            first += batch.num_rows
