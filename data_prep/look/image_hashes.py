"""Reads which images a parquet file shows, whoever wrote it: data_prep, verl's example scripts, or a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.look.reading import BATCH_ROWS, image_file, is_converted, open_parquet
from data_prep.raw.image_values import image_items
from data_prep.row.images import decode
from data_prep.types import Rejection

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_IDS = ("id", "pid", "sample_index", "question_id", "ID")  # columns of ids, in the benchmarks of the Hub


def rows_by_image(path: Path) -> dict[str, list[str]]:
    """Return the ids of the rows that show each image, by the hash of its size and RGB pixels.

    A file of data_prep has the hashes. In any other, the images are decoded: those of the column `images`, in any form
    that verl takes, and of every column that holds the bytes of image files, or structs of `bytes` and `path`, or lists
    of either. Names of files count from the folder of the file. A row without an id is named by its number.

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
    file = open_parquet(path)
    if is_converted(file):
        for batch in file.iter_batches(columns=["extra_info.id", "extra_info.image_sha256"]):
            for row in batch.column(0).to_pylist():
                yield row["id"], str(row["image_sha256"] or "").split()
        return
    columns = [field.name for field in file.schema_arrow if field.name == "images" or _holds_images(field.type)]
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
    number, unread = 0, 0
    for batch in file.iter_batches(BATCH_ROWS, columns=[*columns, *([id_column] if id_column else [])]):
        for row in batch.to_pylist():
            id = str(row[id_column]) if id_column else f"#{number}"
            number += 1
            hashes = [_hash(item, path.parent) for name in columns for item in image_items(row[name])]
            unread += hashes.count(None)
            yield id, [each for each in hashes if each is not None]
    if unread:
        print(f"{path}: {unread} images cannot be read, and are not compared")


def _hash(item: Any, folder: Path) -> str | None:
    """Return the hash of an image; None if it cannot be read."""
    try:
        image = decode(image_file(item, folder) or b"")
    except OSError:
        return None
    return None if isinstance(image, Rejection) else image.sha256
