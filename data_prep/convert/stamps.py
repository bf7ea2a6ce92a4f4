"""Stamps of the files that hold the images of rows, by which a later run sees that a file was replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_prep.types import Location, RawRow, Rejection, Sample


class ImageStamps:
    """Gives each row a text that changes with the size or time of the files, archives and tables of its images.

    Args:
        read: `RawForm.read` of the rows' form.
    """

    def __init__(self, read: Callable[[dict[str, Any]], Sample | Rejection]) -> None:
        self._read = read
        self._by_path: dict[str, str] = {}

    def of(self, row: RawRow) -> str:
        """Return the stamps of the files of a row's images; none if its sample cannot be read, so that it has none."""
        try:
            sample = self._read(json.loads(row.data))
        except Exception:  # the conversion counts it, under its own reason
            return ""
        if isinstance(sample, Rejection):
            return ""
        return " ".join(self._of_file(path) for location in sample.images for path in _files_of(location))

    def _of_file(self, path: str) -> str:
        if path not in self._by_path:
            try:
                facts = Path(path).stat()
                self._by_path[path] = f"{facts.st_size} {facts.st_mtime_ns}"
            except OSError:
                self._by_path[path] = "missing"
        return self._by_path[path]


def _files_of(location: Location) -> Iterator[str]:
    """Yield the files on disk that an image may come from."""
    if isinstance(location, str):
        yield location
    elif isinstance(location, list):
        yield location[0]
    elif isinstance(location, dict):
        yield from (location[kind] for kind in ("table", "parquet") if kind in location)
        yield from _files_of(location.get("else"))
