"""A benchmark's own files on disk: a file of annotations, and the images that it names beside it.

Each record becomes the row that the Hub's parquet has, so that both are read alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.raw.files import Files, read_bytes
from data_prep.raw.json_files import json_rows
from data_prep.types import Rejection

SUFFIXES = (".json", ".jsonl")
Records = Sequence[dict[str, Any] | Rejection]


def listed_records(path: Path) -> Records:
    """Return the objects of a JSON list, or of JSON lines.

    Raises:
        SystemExit: the file is neither.
    """
    return [record for _, record in json_rows(path)]


@dataclass(frozen=True)
class DiskLayout:
    """How a benchmark lies on disk.

    Args:
        names: names of its files of annotations.
        keys: keys that every record has.
        image: key that holds the path of a record's image; its value is empty if there is none.
        column: column of the Hub's parquet that holds this image.
        folders: names of the folders of images, beside the annotations or one level up, unpacked or as NAME.zip.
        records: reads a file of annotations.
    """

    names: tuple[str, ...]
    keys: frozenset[str]
    image: str
    column: str
    folders: tuple[str, ...]
    records: Callable[[Path], Records] = listed_records


class Annotations:
    """The records of a file of annotations, and the index of their images.

    Raises:
        SystemExit: the file cannot be read.
    """

    def __init__(self, path: Path, layout: DiskLayout):
        self.path, self.layout = path, layout
        self.records = layout.records(path)
        self._parents = (path.absolute().parent, path.absolute().parent.parent)
        places = [parent / name for parent in self._parents for name in layout.folders]
        places += [place.with_name(f"{place.name}.zip") for place in places]
        self._files = Files(place for place in places if place.exists())

    def check_images(self) -> None:
        """Check that there are images.

        Raises:
            SystemExit: none of those that the records name is there.
        """
        named = list(self._image_names())
        if named and all(isinstance(self._files.find(name), Rejection) for name in named):
            raise SystemExit(
                f"--data {self.path}: got none of its {len(named):,} images, e.g. {named[0]}, expected them in "
                f"{' or '.join(self.layout.folders)} (or the same with .zip) in {' or '.join(map(str, self._parents))}"
            )

    def sha256(self) -> str:
        """Hash the annotations and the images that they name."""
        digest = hashlib.sha256(self.path.read_bytes())
        for name in self._image_names():
            location = self._files.find(name)
            content = b"" if isinstance(location, Rejection) else read_bytes(location)
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def rows_at(self, numbers: Sequence[int]) -> Iterator[dict[str, Any] | Rejection]:
        """Yield the records with these numbers as rows of the Hub's parquet, each with its image."""
        for number in numbers:
            record = self.records[number]
            if isinstance(record, Rejection):
                yield record
            elif missing := self.layout.keys - record.keys():
                yield Rejection("row_malformed", f"got no {', '.join(sorted(missing))}")
            else:
                yield {**record, self.layout.column: self._image(record)}

    def _image(self, record: dict[str, Any]) -> dict[str, Any] | None:
        name = record[self.layout.image]
        if not name:
            return None
        location = self._files.find(str(name))
        return {"bytes": None if isinstance(location, Rejection) else read_bytes(location), "path": str(name)}

    def _image_names(self) -> Iterator[str]:
        """Yield the name of each image once, in the order of the records."""
        names = (record.get(self.layout.image) for record in self.records if isinstance(record, dict))
        yield from dict.fromkeys(str(name) for name in names if name)
