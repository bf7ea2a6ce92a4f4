"""Reads rows of parquet files without holding all their images in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from data_prep.raw.image_values import image_content
from data_prep.row.schema import row_schema
from data_prep.types import Row

if TYPE_CHECKING:
    import pyarrow.parquet as pq

BATCH_ROWS = 64  # rows in memory at a time; row groups written by other programs can be large


def open_rows(path: Path) -> pq.ParquetFile:
    """Open a parquet file of rows for verl, whoever wrote it: it has prompts.

    Raises:
        SystemExit: it is not a parquet file, or has no column `prompt`.
    """
    file = open_parquet(path)
    names = file.schema_arrow.names
    if "prompt" not in names:
        raise SystemExit(
            f"{path}: got columns {', '.join(names)}, expected the column prompt, which verl reads; convert the file "
            "with python -m data_prep jsonl"
        )
    return file


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file.

    Raises:
        SystemExit: it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SystemExit(f"{path}: expected a parquet file, got {error}") from None


def is_converted(file: pq.ParquetFile) -> bool:
    """Return whether the rows have exactly the fields that data_prep writes."""
    return file.schema_arrow.equals(row_schema())


def image_file(item: Any, folder: Path) -> bytes | None:
    """Return the bytes of an image of a row, or of the file that it names from `folder`; None if it is no image.

    Raises:
        OSError: the file cannot be read.
    """
    content = image_content(item)
    if not isinstance(content, str):
        return content
    name = unquote(urlparse(content).path) if content.startswith("file://") else content
    return (folder / name).read_bytes()


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
