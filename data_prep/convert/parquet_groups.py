"""Writes parquet files in small row groups; within a group, the bytes of an image are stored only once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from data_prep.atomic import replacing
from data_prep.row.schema import ROWS_PER_GROUP, file_schema, row_schema
from data_prep.types import Row

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_BYTES = 64 << 20  # bytes of images after which a group ends early, so that memory stays small
_DICTIONARY_BYTES = 1 << 30  # never reached: beyond it, a column falls back to plain pages and repeats equal values


class RowGroups:
    """A parquet file that is written row group by row group; it is complete when its `with` block ends."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(path, file_schema(), dictionary_pagesize_limit=_DICTIONARY_BYTES)
        self._group: list[Row] = []
        self._bytes = 0

    def add(self, row: Row) -> None:
        """Add a row.

        Raises:
            pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value does not fit the schema.
            ValueError: a column, or a field of extra_info, is not in the schema.
        """
        _refuse_unknown_fields(row)
        self._group.append(row)
        self._bytes += sum(len(image["bytes"] or b"") for image in row["images"])
        if len(self._group) == ROWS_PER_GROUP or self._bytes >= GROUP_BYTES:
            self._flush()

    def add_groups(self, tables: Iterable[pa.Table]) -> None:
        """Add each table, a row group of another file, as a row group."""
        for table in tables:
            self._writer.write_table(table, row_group_size=max(1, len(table)))

    def describe(self, metadata: dict[str, str]) -> None:
        """Add texts to the key-value metadata of the file."""
        self._writer.add_key_value_metadata(metadata)

    def _flush(self) -> None:
        import pyarrow as pa

        if self._group:
            self._writer.write_table(pa.Table.from_pylist(self._group, schema=file_schema()))
        self._group, self._bytes = [], 0

    def __enter__(self) -> RowGroups:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()


def write_parquet(rows: Iterable[Row], path: str | os.PathLike[str]) -> int:
    """Write `rows` to `path`, whole or not at all.

    The folder of `path` is made if it is missing. The rows are not held in memory, except those of one group.

    Returns:
        The number of rows written.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, ValueError: as in `RowGroups.add`.
    """
    count = 0
    with replacing(path) as temporary, RowGroups(temporary) as groups:
        for row in rows:
            groups.add(row)
            count += 1
    return count


def _refuse_unknown_fields(row: Row) -> None:
    """Raise ValueError for keys that the schema does not name; Arrow would drop them silently."""
    unknown = (row.keys() - _fields()) | (row["extra_info"].keys() - _fields("extra_info"))
    if unknown:
        raise ValueError(f"row: got unknown fields {sorted(unknown)}, expected those of row_schema(); add them there")


@cache
def _fields(column: str | None = None) -> frozenset[str]:
    """Return the names of the columns, or of the fields of one column."""
    return frozenset(
        row_schema().names if column is None else (field.name for field in row_schema().field(column).type)
    )
