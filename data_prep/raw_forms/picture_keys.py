"""Keys of pictures that are equal for equal ones: a file under several names, in an archive, or embedded in a table."""

from __future__ import annotations

import hashlib
from collections import Counter

from data_prep.raw.files import UNREADABLE, read_bytes, size_of
from data_prep.types import Location


class PictureKeys:
    """Collects the pictures of all rows; afterwards it tells which keys mean the same picture.

    Only files of the size of another picture are read.
    """

    def __init__(self) -> None:
        self._located: dict[str, Location] = {}
        self._sizes: dict[str, int] = {}  # of the located files and of the embedded pictures, by key

    def of_bytes(self, content: bytes) -> str:
        """Return the key of an embedded picture: its hash."""
        key = _hash(content)
        self._sizes[key] = len(content)
        return key

    def of_file(self, location: Location) -> str:
        """Return the key of a file for now: where it is."""
        key = str(location).replace("|", "/")
        if not isinstance(location, dict):
            self._located[key] = location
        return key

    def by_content(self) -> dict[str, str]:
        """Return the hash for the key of each file that has the size of another picture."""
        for key, location in self._located.items():
            try:
                self._sizes[key] = size_of(location)
            except UNREADABLE:
                continue  # the conversion counts it
        shared = Counter(self._sizes.values())
        hashes = {}
        for key, location in self._located.items():
            if shared[self._sizes.get(key, -1)] > 1:
                try:
                    hashes[key] = _hash(read_bytes(location))
                except UNREADABLE:
                    continue
        return hashes


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
