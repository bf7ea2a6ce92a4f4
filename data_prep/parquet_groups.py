"""Row groups small in rows and in bytes, in which an image's bytes stand once, however many rows show it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from data_prep.schema import ROWS_PER_GROUP, Row, row_schema

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
        """
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
