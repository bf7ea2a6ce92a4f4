"""Row groups small in rows and in bytes, in which an image's bytes stand once, however many rows show it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from data_prep.row.schema import ROWS_PER_GROUP, Row, row_schema

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_BYTES = 64 << 20  # bytes of images; a group of large ones ends early, so that memory stays small
_DICTIONARY_BYTES = 1 << 30  # never reached: a column falls back to plain pages, without sharing, beyond it


class RowGroups:
    """A parquet file written row group by row group; the file is complete when the context ends without an error."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, dictionary_pagesize_limit=_DICTIONARY_BYTES)
        self._group: list[Row] = []
        self._bytes = 0

    def add(self, row: Row) -> None:
        """One more row.

        Raises:
            pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value does not fit the schema.
            ValueError: a row has a column, or an extra_info field, that the schema lacks.
        """
        _refuse_unknown_fields(row)
        self._group.append(row)
        self._bytes += sum(len(image["bytes"] or b"") for image in row["images"])
        if len(self._group) == ROWS_PER_GROUP or self._bytes >= GROUP_BYTES:
            self._flush()

    def add_groups(self, tables: Iterable[pa.Table]) -> None:
        """Row groups of other files, as they are."""
        for table in tables:
            self._writer.write_table(table, row_group_size=max(1, len(table)))

    def describe(self, metadata: dict[str, str]) -> None:
        """Texts for the file's key-value metadata."""
        self._writer.add_key_value_metadata(metadata)

    def _flush(self) -> None:
        import pyarrow as pa

        if self._group:
            self._writer.write_table(pa.Table.from_pylist(self._group, schema=self._schema))
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
    """Write `rows` to `path`; a reader never sees half a file.

    The rows stream into a temporary file beside `path`, which is renamed at the end and removed on any failure.

    Returns:
        The number of rows written.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, ValueError: as `RowGroups.add`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    try:
        with RowGroups(temporary, row_schema()) as groups:
            for row in rows:
                groups.add(row)
                count += 1
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _refuse_unknown_fields(row: Row) -> None:
    """Arrow drops keys that a schema does not name, without a word; here that is an error."""
    unknown = (row.keys() - _fields()) | (row["extra_info"].keys() - _fields("extra_info"))
    if unknown:
        raise ValueError(f"row: got unknown fields {sorted(unknown)}, expected those of row_schema(); add them there")


@cache
def _fields(column: str | None = None) -> frozenset[str]:
    """The names of the columns, or of the fields of one."""
    return frozenset(
        row_schema().names if column is None else (field.name for field in row_schema().field(column).type)
    )


@cache
def schema_of(images: str) -> pa.Schema:
    """The schema of all rows; with images by "path", it also tells `datasets` that these are image files.

    verl opens a struct's bytes itself, and fails where they are None; told that the column holds images, `datasets`
    opens the files before verl sees the row.
    """
    if images == "embed":
        return row_schema()
    return row_schema().with_metadata({"huggingface": json.dumps({"info": {"features": _features()}})})


def _features() -> dict[str, object]:
    """The schema in the words of `datasets`."""
    import pyarrow as pa

    def words(kind: pa.DataType) -> object:
        if pa.types.is_struct(kind):
            return {field.name: words(field.type) for field in kind}
        if pa.types.is_list(kind):
            return {"feature": words(kind.value_type), "_type": "List"}
        return {"dtype": str(kind), "_type": "Value"}

    images = {"images": {"feature": {"_type": "Image"}, "_type": "List"}}
    return {field.name: words(field.type) for field in row_schema()} | images
