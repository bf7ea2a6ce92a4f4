"""Reads the rows of JSON lines, JSON, CSV and parquet alike, and single fields again for the images in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.raw.field_paths import field_at
from data_prep.raw.json_files import decoded, json_rows, line_at, placed_lines
from data_prep.raw.parquet_files import open_parquet, parquet_column
from data_prep.types import Rejection

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
_LINES = (".jsonl", ".ndjson")
_BATCH = 64  # rows of a parquet file in memory at once, their images included


class TableRow(NamedTuple):
    """One row of a table.

    Args:
        where: "file:line" from 1, or "file#position" from 0.
        block: number of the row group of a parquet file; 0 for other files.
        place: the row's number in its block; for JSON lines, the position of its first byte in the file.
        fields: the row, or why it cannot be read.
    """

    where: str
    block: int
    place: int
    fields: dict[str, Any] | Rejection


def may_be_table(path: Path) -> bool:
    """Return whether a file of a folder is a table by its beginning: JSON that is no list holds settings or counts."""
    if path.suffix.lower() != ".json":
        return True
    with path.open("rb") as file:
        return decoded(file.read(64)).lstrip().startswith("[")


def table_rows(path: Path, names: tuple[str, ...] = ()) -> Iterator[TableRow]:
    """Yield the rows of a table in order.

    Args:
        path: a file with one of SUFFIXES.
        names: dotted paths of the fields that are needed; () for all. Other columns of parquet are not read.

    Raises:
        SystemExit: the file is not of the kind that its name says.
    """
    if path.suffix.lower() in _LINES:
        for where, offset, row in placed_lines(path):
            yield TableRow(where, 0, offset, row)
    elif path.suffix.lower() == ".parquet":
        yield from _parquet_rows(path, names)
    else:
        for number, row in enumerate(_whole(str(path))):
            yield TableRow(f"{path.name}#{number}", 0, number, row)


def field_of_row(path: str, block: int, place: int, name: str) -> Any:
    """Return one field of the row at a place of `table_rows`.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: the file has changed, or cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        column = _column_of(path, name)
        return field_at({column: parquet_column(path, column, block)[place].as_py()}, name)
    row = line_at(Path(path), place) if suffix in _LINES else _whole(path)[place]
    return field_at(row, name)


def _parquet_rows(path: Path, names: tuple[str, ...]) -> Iterator[TableRow]:
    file = open_parquet(str(path))
    columns = list(dict.fromkeys(_column_of(str(path), name) for name in names)) or None
    position = 0
    for block in range(file.num_row_groups):
        place = 0
        for batch in file.iter_batches(_BATCH, row_groups=[block], columns=columns):
            for row in batch.to_pylist():
                yield TableRow(f"{path.name}#{position}", block, place, row)
                place, position = place + 1, position + 1


def _column_of(path: str, name: str) -> str:
    """Return the column that a dotted path begins with."""
    columns = open_parquet(path).schema_arrow.names
    return name if name in columns else name.partition(".")[0]


@lru_cache(maxsize=2)
def _whole(path: str) -> list[dict[str, Any] | Rejection]:
    """Return all rows of a JSON list or a CSV file."""
    if Path(path).suffix.lower() == ".json":
        return [row for _, row in json_rows(Path(path))]
    csv.field_size_limit(1 << 30)  # a cell may hold an image as base64
    lines = csv.DictReader(io.StringIO(decoded(Path(path).read_bytes()), newline=""), strict=True)
    try:
        return [_csv_row(row) for row in lines]
    except csv.Error as error:
        raise SystemExit(f"{path}: expected CSV, got {error} in line {lines.line_num}") from None


def _csv_row(row: dict[Any, Any]) -> dict[str, Any] | Rejection:
    if None in row or None in row.values():
        return Rejection("row_malformed", "got another number of cells than the first line has")
    return row
