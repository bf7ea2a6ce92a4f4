"""The one row layout of every data set, and how it is written to disk.

The Arrow schema is spelled out because an inferred one drifts: a column that happens to hold only None becomes Arrow
`null`, and two such files can then no longer be read together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

ROWS_PER_GROUP = 128  # images are large: a reader should not need a whole file in memory to get at one row


@cache
def row_schema() -> pa.Schema:
    """The Arrow schema of one row. `orig_w` and `orig_h` are pixels; `images[].bytes` is an encoded PNG or JPEG."""
    import pyarrow as pa

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    reward_model = pa.struct([("style", pa.string()), ("ground_truth", pa.string())])
    extra_info = pa.struct(
        [
            ("split", pa.string()),
            ("index", pa.int64()),
            ("id", pa.string()),
            ("question", pa.string()),
            ("answer", pa.string()),
            ("orig_w", pa.int32()),
            ("orig_h", pa.int32()),
            ("image_sha256", pa.string()),
            ("subject", pa.string()),
            ("choices", pa.list_(pa.string())),
        ]
    )
    return pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", pa.list_(message)),
            ("images", pa.list_(image)),
            ("ability", pa.string()),
            ("reward_model", reward_model),
            ("extra_info", extra_info),
        ]
    )


def write_parquet(rows: Iterable[Row], path: str | os.PathLike[str]) -> int:
    """Write `rows` to `path` in row groups of 128, so that a reader never sees half a file.

    The rows stream into a temporary file beside `path`, which is renamed at the end and removed on any failure.

    Returns:
        The number of rows written.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value does not fit the schema.
        ValueError: a row has a column, or an extra_info field, that the schema lacks.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    try:
        with pq.ParquetWriter(temporary, row_schema()) as writer:
            for group in _groups(rows):
                for row in group:
                    _refuse_unknown_fields(row)
                writer.write_table(pa.Table.from_pylist(group, schema=row_schema()))
                count += len(group)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


def _refuse_unknown_fields(row: Row) -> None:
    """Arrow drops keys that a schema does not name, without a word; here that is an error."""
    schema = row_schema()
    extra_info = schema.field("extra_info").type
    unknown = set(row) - set(schema.names)
    unknown |= set(row.get("extra_info", {})) - {extra_info.field(i).name for i in range(extra_info.num_fields)}
    if unknown:
        raise ValueError(f"row: got unknown fields {sorted(unknown)}, expected those of row_schema(); add them there")
