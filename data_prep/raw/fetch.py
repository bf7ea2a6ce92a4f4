"""Fetches an image of a sample from a plain file, a zip archive, a parquet file or a row of any table."""

from __future__ import annotations

from functools import lru_cache

from data_prep.raw.files import UNREADABLE, read_bytes
from data_prep.raw.image_values import image_content, image_items
from data_prep.raw.parquet_files import image_bytes
from data_prep.raw.tables import field_of_row
from data_prep.row.images import EncodedImage, decode
from data_prep.types import Location, Rejection


def fetch_image(location: Location, budget: int | None) -> EncodedImage | Rejection:
    """Read and decode the image at a location; `budget` as in `data_prep.row.images.decode`."""
    if not isinstance(location, dict):
        return _from_file(location if isinstance(location, str) else tuple(location), budget)
    if "reject" in location:
        return Rejection(location["reject"], location["detail"])
    if "table" in location:
        keys = ("table", "block", "row", "field", "item")
        return _from_table(*(location[key] for key in keys), budget)
    place = (location["parquet"], location["column"], location["block"], location["row"], location["item"])
    image = _from_parquet(place, budget)
    return fetch_image(location["else"], budget) if image is None else image


# Rows of one image are converted one after another: with the last few images cached, none is decoded twice.


@lru_cache(maxsize=4)
def _from_file(location: str | tuple[str, str], budget: int | None) -> EncodedImage | Rejection:
    try:
        return decode(read_bytes(location), budget)
    except FileNotFoundError:
        return Rejection("image_missing", str(location))
    except UNREADABLE as error:
        return Rejection("image_corrupt", f"{location}: {error}"[:200])


@lru_cache(maxsize=4)
def _from_parquet(place: tuple[str, str, int, int, int], budget: int | None) -> EncodedImage | Rejection | None:
    import pyarrow as pa

    try:
        data = image_bytes(*place)
    except (OSError, pa.ArrowException) as error:
        return Rejection("image_corrupt", f"{place[0]}: {error}"[:200])
    return None if data is None else decode(data, budget)


@lru_cache(maxsize=4)
def _from_table(path: str, block: int, row: int, field: str, item: int, budget: int | None) -> EncodedImage | Rejection:
    import pyarrow as pa

    try:
        content = image_content(image_items(field_of_row(path, block, row, field))[item])
    except (OSError, ValueError, IndexError, pa.ArrowException) as error:
        return Rejection("image_corrupt", f"{path}: {error}"[:200])
    return decode(content if isinstance(content, bytes) else b"", budget)
