"""Reads the rows of JSON lines, JSON, CSV and parquet alike, and single fields again for the images in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.raw.field_paths import field_at
from data_prep.raw.json_files import decoded, holds_lines, holds_list, json_rows, line_at, placed_lines
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
    """Return whether a file of a folder is a table by its beginning: other JSON holds settings or counts."""
    return path.suffix.lower() != ".json" or holds_list(path) or holds_lines(path)


def may_have_field(path: Path, name: str) -> bool:
    """Return whether a row of a table may have a field: parquet has the column of a dotted path, or no row has."""
    return (
        path.suffix.lower() != ".parquet" or _column_of(str(path), name) in open_parquet(str(path)).schema_arrow.names
    )


def table_rows(path: Path, names: tuple[str, ...] = ()) -> Iterator[TableRow]:
    """Yield the rows of a table in order.

    Args:
        path: a file with one of SUFFIXES.
        names: dotted paths of the fields that are needed; () for all. Other columns of parquet are not read.

    Raises:
        SystemExit: the file is not of the kind that its name says.
    """
    if _has_lines(str(path)):
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
    if Path(path).suffix.lower() == ".parquet":
        column = _column_of(path, name)
        return field_at({column: parquet_column(path, column, block)[place].as_py()}, name)
    row = line_at(Path(path), place) if _has_lines(path) else _whole(path)[place]
    return field_at(row, name)


def block_of(path: Path, block: int, has_images: bool) -> str:
    """Return the name of the rows that are read together with a row: `RawRow.block`.

    Args:
        path: the table.
        block: the row's `TableRow.block`.
        has_images: whether the table itself holds the row's images.
    """
    if path.suffix.lower() == ".parquet":
        return f"{path}#{block}"
    return str(path) if has_images and not _has_lines(str(path)) else ""


def texts_of_bytes(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any] | Rejection:
    """Return a row whose bytes in the named fields, as some writers of parquet store texts, are texts.

    Args:
        fields: the row.
        names: dotted paths of fields that hold no images.
    """
    keys = {name if name in fields else name.partition(".")[0] for name in names}
    try:
        return {name: _as_text(value) if name in keys else value for name, value in fields.items()}
    except UnicodeDecodeError as error:
        return Rejection("row_malformed", f"got bytes, expected text in UTF-8: {error}"[:200])


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    return value


@lru_cache(maxsize=64)
def _has_lines(path: str) -> bool:
    suffix = Path(path).suffix.lower()
    return suffix in _LINES or (suffix == ".json" and holds_lines(Path(path)))


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
    lines = csv.DictReader(io.StringIO(decoded(Path(path).read_bytes(), Path(path)), newline=""), strict=True)
    try:
        return [_csv_row(row) for row in lines]
    except csv.Error as error:
        raise SystemExit(f"{path}: expected CSV, got {error} in line {lines.line_num}") from None


def _csv_row(row: dict[Any, Any]) -> dict[str, Any] | Rejection:
    if None in row or None in row.values():
        return Rejection("row_malformed", "got another number of cells than the first line has")
    return row
