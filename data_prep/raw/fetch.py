"""The pictures of a sample, from wherever they are."""

from __future__ import annotations

import zipfile
import zlib
from functools import lru_cache

from data_prep.raw.files import read_bytes
from data_prep.raw.parquet_files import image_bytes
from data_prep.row.images import Picture, decode
from data_prep.types import Location, Reject


def fetch(location: Location, budget: int | None) -> Picture | Reject:
    """The decoded image at a location; `budget` as in `data_prep.row.images.decode`."""
    if not isinstance(location, dict):
        return _from_file(location if isinstance(location, str) else tuple(location), budget)
    if "reject" in location:
        return Reject(location["reject"], location["detail"])
    place = (location["parquet"], location["column"], location["block"], location["row"], location["item"])
    picture = _from_parquet(place, budget)
    return fetch(location["else"], budget) if picture is None else picture


# Rows of one image stand together: with the last few at hand, none is decoded twice.


@lru_cache(maxsize=4)
def _from_file(location: str | tuple[str, str], budget: int | None) -> Picture | Reject:
    try:
        return decode(read_bytes(location), budget)
    except FileNotFoundError:
        return Reject("image_missing", str(location))
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, KeyError) as error:
        return Reject("image_corrupt", f"{location}: {error}"[:200])


@lru_cache(maxsize=4)
def _from_parquet(place: tuple[str, str, int, int, int], budget: int | None) -> Picture | Reject | None:
    import pyarrow as pa

    try:
        data = image_bytes(*place)
    except (OSError, pa.ArrowException) as error:
        return Reject("image_corrupt", f"{place[0]}: {error}"[:200])
    return None if data is None else decode(data, budget)
