"""Raw parquet files: the fields of their rows without the image bytes, and the bytes of one image when asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.raw.files import Files
from data_prep.row.texts import from_json
from data_prep.types import Location

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH = 512  # rows of light columns read at once


def columns_of(path: Path) -> set[str]:
    """Names of the columns.

    Raises:
        SystemExit: not a parquet file.
    """
    return set(_open(str(path)).schema_arrow.names)


def parquet_rows(path: Path, image_column: str | None, files: Files) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Source, block and fields of each row; in place of images, their locations or why there is none.

    A location is `{"parquet": file, "column": ..., "block": row group, "row": ..., "item": ..., "else": location}`;
    "else" is where the file's own `path` leads, for images whose bytes are None.
    """
    import pyarrow as pa

    opened = _open(str(path))
    light = [name for name in opened.schema_arrow.names if name != image_column]
    light += _light_leaves(opened, image_column) if image_column else []
    for group in range(opened.num_row_groups):
        batches = opened.iter_batches(BATCH, row_groups=[group], columns=light)
        rows = (row for batch in batches for row in pa.Table.from_batches([batch]).to_pylist())
        for number, row in enumerate(rows):
            if image_column is None:
                yield f"{path.name}#{group}/{number}", "", row
                continue
            place = {"parquet": str(path), "column": image_column, "block": group, "row": number}
            row[image_column] = _locations(row.get(image_column), place, files)
            yield f"{path.name}#{group}/{number}", f"{path.name}#{group}", row


def _light_leaves(opened: pq.ParquetFile, column: str) -> list[str]:
    """Dotted names of a column's leaves that are no binary: "image.path", "images.list.element.path"."""
    leaves = [opened.schema.column(number) for number in range(len(opened.schema))]
    own = (leaf for leaf in leaves if leaf.path.split(".")[0] == column)
    return [leaf.path for leaf in own if leaf.physical_type != "BYTE_ARRAY" or leaf.logical_type.type != "NONE"]


def _locations(value: Any, place: dict[str, Any], files: Files) -> list[Location]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):
            value = from_json(value)
    items = value if isinstance(value, list) else [value]
    locations: list[Location] = []
    for number, item in enumerate(items):
        if isinstance(item, str):
            locations.append(files.locate(item))
        else:
            path = item.get("path") if isinstance(item, dict) else None
            locations.append({**place, "item": number, "else": files.locate(path or "")})
    return locations


def image_bytes(path: str, column: str, block: int, row: int, item: int) -> bytes | None:
    """The bytes of the image at a location of `parquet_rows`, or None if the file has none there."""
    value = _column(path, column, block)[row].as_py()
    if isinstance(value, list):
        value = value[item] if item < len(value) else None
    return value.get("bytes") if isinstance(value, dict) else value


@lru_cache(maxsize=1)  # rows of one block are converted together
def _column(path: str, name: str, group: int) -> pa.ChunkedArray:
    return _open(path).read_row_group(group, columns=[name]).column(name)


@lru_cache(maxsize=4)
def _open(path: str) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SystemExit(f"{path}: expected a parquet file, got {error}; fetch the file again") from None
