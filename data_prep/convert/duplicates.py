"""Tells the rows of a split that came before from those that only have the same id and text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from data_prep.raw.fetch import fetch_image
from data_prep.types import RawRow, Rejection, Sample


class SeenRows:
    """The rows of one split so far, by identity; the pictures of rows with the same identity are compared.

    Args:
        read: `RawForm.read` of the rows' form.
    """

    def __init__(self, read: Callable[[dict[str, Any]], Sample | Rejection]) -> None:
        self._read = read
        self._first: dict[bytes, RawRow] = {}
        self._others: dict[bytes, list[RawRow]] = {}  # apart, because a list for each row would take much memory

    def add(self, row: RawRow) -> bool:
        """Add a row, unless it is a duplicate; return whether it was added. A row without an identity is never one."""
        if not row.identity or self._first.setdefault(row.identity, row) is row:
            return True
        earlier = [self._first[row.identity], *self._others.get(row.identity, [])]
        if any(other.data == row.data for other in earlier):
            return False
        pictures = self._pictures(row)
        if any(self._pictures(other) == pictures for other in earlier):
            return False
        self._others.setdefault(row.identity, []).append(row)
        return True

    def _pictures(self, row: RawRow) -> list[str]:
        """Return the hash of each picture, or why there is none."""
        sample = self._read(json.loads(row.data))
        if isinstance(sample, Rejection):
            return [sample.reason]
        images = (fetch_image(location, None) for location in sample.images)
        return [image.reason if isinstance(image, Rejection) else image.sha256 for image in images]
