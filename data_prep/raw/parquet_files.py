"""Reads raw parquet files: the rows without the bytes of their images, and the bytes of single images."""

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

BATCH = 512  # rows read at once, without image bytes


def parquet_files_with(files: Files, columns: set[str]) -> list[Path]:
    """Return the parquet files that have at least these columns.

    Raises:
        SystemExit: a file named *.parquet is not a parquet file.
    """
    return [path for path in files.plain(".parquet") if columns <= set(open_parquet(str(path)).schema_arrow.names)]


def parquet_rows(path: Path, image_column: str | None, files: Files) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield source ("file#position"), block and fields of each row, with locations in place of images.

    The location of an image in the file is `{"parquet": file, "column": ..., "block": row group, "row": ...,
    "item": ..., "else": location}`; "else" is the location that its `path` names, used if its bytes are None.

    Args:
        path: the parquet file.
        image_column: the column of images, or None. Its values are images (bytes and path), names of images, or lists
            of either.
        files: the files among which images are looked up by name.
    """
    import pyarrow as pa

    file = open_parquet(str(path))
    columns = [name for name in file.schema_arrow.names if name != image_column]
    columns += _light_leaves(file, image_column) if image_column else []
    position = 0
    for group in range(file.num_row_groups):
        batches = file.iter_batches(BATCH, row_groups=[group], columns=columns)
        rows = (row for batch in batches for row in pa.Table.from_batches([batch]).to_pylist())
        for number, row in enumerate(rows):
            where, position = f"{path.name}#{position}", position + 1
            if image_column is None:
                yield where, "", row
                continue
            place = {"parquet": str(path), "column": image_column, "block": group, "row": number}
            row[image_column] = _locations(row.get(image_column), place, files)
            yield where, f"{path.name}#{group}", row


def _light_leaves(file: pq.ParquetFile, column: str) -> list[str]:
    """Return dotted names of the leaves of a column that are not binary, such as "images.list.element.path"."""
    leaves = [file.schema.column(number) for number in range(len(file.schema))]
    own_leaves = (leaf for leaf in leaves if leaf.path.split(".")[0] == column)
    return [leaf.path for leaf in own_leaves if leaf.physical_type != "BYTE_ARRAY" or leaf.logical_type.type != "NONE"]


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
    """Return the bytes of the image at a location of `parquet_rows`, or None if the file has none there."""
    value = parquet_column(path, column, block)[row].as_py()
    if isinstance(value, list):
        value = value[item] if item < len(value) else None
    return value.get("bytes") if isinstance(value, dict) else value


def parquet_column(path: str, name: str, group: int) -> pa.ChunkedArray:
    """Return a column of one row group."""
    columns = parquet_group(path, group)
    if name not in columns:
        columns[name] = open_parquet(path).read_row_group(group, columns=[name]).column(name)
    return columns[name]


@lru_cache(maxsize=1)  # rows of one block are converted one after another
def parquet_group(path: str, group: int) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a row group that were read so far: a row may have images in several."""
    return {}


@lru_cache(maxsize=4)
def open_parquet(path: str) -> pq.ParquetFile:
    """Open a parquet file.

    Raises:
        SystemExit: it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SystemExit(f"{path}: expected a parquet file, got {error}; fetch the file again") from None
