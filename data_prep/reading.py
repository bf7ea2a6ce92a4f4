"""Reading finished files without holding their images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.schema import Row, row_schema

if TYPE_CHECKING:
    import pyarrow.parquet as pq


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


def sampled_rows(path: Path, count: int) -> Iterator[Row]:
    """At most `count` rows, evenly spaced, images included; one row group is in memory at a time."""
    file = opened(path)
    total = file.metadata.num_rows
    wanted = sorted({total * number // min(count, total) for number in range(min(count, total))})
    first = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        inside = [number - first for number in wanted if first <= number < first + size]
        if inside:
            yield from file.read_row_group(group).take(inside).to_pylist()
        first += size
