"""Reads which images a parquet file shows, whoever wrote it: data_prep, verl's example scripts, or a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.look.reading import BATCH_ROWS, field_values
from data_prep.row.images import decode
from data_prep.row.schema import row_schema
from data_prep.types import Rejection

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_IDS = ("id", "pid", "sample_index", "question_id", "ID")  # columns of ids, in the benchmarks of the Hub


def rows_by_image(path: Path) -> dict[str, list[str]]:
    """Return the ids of the rows that show each image, by the hash of its size and RGB pixels.

    A file of data_prep has the hashes. In any other, the images are decoded: every column that holds the bytes of image
    files, or structs of `bytes` and `path`, or lists of either. A row without an id is named by its number.

    Raises:
        SystemExit: it is not a parquet file, or has no images.
    """
    rows: dict[str, list[str]] = {}
    for id, hashes in _hashes(path):
        for image in hashes:
            rows.setdefault(image, []).append(id)
    return rows


def _hashes(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the id and the hashes of the images of each row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SystemExit(f"{path}: expected a parquet file, got {error}") from None
    if file.schema_arrow.equals(row_schema()):
        ids, hashes = (field_values(path, "extra_info", name) for name in ("id", "image_sha256"))
        for id, images in zip(ids, hashes, strict=True):
            yield id, str(images or "").split()
        return
    columns = [field.name for field in file.schema_arrow if _holds_images(field.type)]
    if not columns:
        raise SystemExit(f"{path}: expected a column with the bytes of images, got {file.schema_arrow.names}")
    yield from _decoded(file, path, columns)


def _holds_images(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _holds_images(kind.value_type)
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _decoded(file: pq.ParquetFile, path: Path, columns: list[str]) -> Iterator[tuple[str, list[str]]]:
    id_column = next((name for name in _IDS if name in file.schema_arrow.names), None)
    number = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=[*columns, *([id_column] if id_column else [])]):
        for row in batch.to_pylist():
            id = str(row[id_column]) if id_column else f"#{number}"
            number += 1
            images = (decode(data) for name in columns for data in _files(row[name], path.parent))
            yield id, [image.sha256 for image in images if not isinstance(image, Rejection)]


def _files(value: Any, folder: Path) -> Iterator[bytes]:
    """Yield the image files in a cell: their bytes, or the content of the files that it names, relative to `folder`."""
    if isinstance(value, list):
        for item in value:
            yield from _files(item, folder)
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, dict) and value.get("bytes"):
        yield value["bytes"]
    elif isinstance(value, dict) and value.get("path") and (folder / value["path"]).is_file():
        yield (folder / value["path"]).read_bytes()
