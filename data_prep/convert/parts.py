"""One part: its rows converted, and written as one file that is there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.convert.parquet_groups import RowGroups, schema_of
from data_prep.convert.plan import Part
from data_prep.raw.fetch import fetch
from data_prep.row.make_row import RowKind, make_row
from data_prep.row.schema import Row
from data_prep.types import RawRow, Reject, RejectedRow, Sample

REJECTS = b"rejects"  # key of a part's metadata: lines of rejects.jsonl


@dataclass(frozen=True)
class Job:
    """What all parts of a run share; it crosses to other processes.

    Args:
        read: the format's pure function from a raw row's fields to a sample.
        kind: data source, ability and template.
        images: "embed" or "path".
        budget: at most as many pixels for each image; None keeps every size.
        out: the output folder.
    """

    read: Callable[[dict[str, Any]], Sample | Reject]
    kind: RowKind
    images: str
    budget: int | None
    out: Path

    def manner(self) -> str:
        """Everything that decides how a row is converted, as text; the folder only where rows name files in it."""
        place = self.out.absolute() if self.images == "path" else ""
        read = f"{self.read.__module__}.{self.read.__qualname__}"
        return f"{read} {self.kind} {self.images} {self.budget} {place}"

    @property
    def folder(self) -> Path:
        """Where parts are kept until the run is complete."""
        return self.out / ".parts"

    def file_of(self, part: Part) -> Path:
        """The file of a part; its name changes with anything that would change its rows."""
        return self.folder / f"{part.key}.parquet"


def write_part(job: Job, part: Part) -> int:
    """Convert and write one part unless it is there; returns the number of raw rows."""
    path = job.file_of(part)
    if not path.exists():
        rejects: list[str] = []
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with RowGroups(temporary, schema_of(job.images)) as groups:
                for row in _rows(job, part, rejects):
                    groups.add(row)
                groups.describe({REJECTS.decode(): json.dumps(rejects)})
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return len(part.rows)


def _rows(job: Job, part: Part, rejects: list[str]) -> Iterator[Row]:
    for index, raw in part.rows:
        try:
            row = convert(job, raw, index)
        except OSError:
            raise
        except Exception as error:  # one bad row must not cost the others; it is counted, and says what it was
            row = Reject("unexpected_error", f"{type(error).__name__}: {error}"[:200])
        if isinstance(row, Reject):
            rejects.append(RejectedRow(raw.split, raw.source, row).line())
        else:
            yield row


def convert(job: Job, raw: RawRow, index: int) -> Row | Reject:
    """One raw row with its images, as a row of the schema."""
    sample = job.read(json.loads(raw.data))
    if isinstance(sample, Reject):
        return sample
    pictures = []
    for location in sample.images:
        picture = fetch(location, job.budget)
        if isinstance(picture, Reject):
            return picture
        pictures.append(picture)
    row = make_row(sample, pictures, job.kind, raw.split, index)
    if job.images == "path" and not isinstance(row, Reject):
        places = zip(sample.images, pictures, strict=True)
        row["images"] = [{"bytes": None, "path": _file_for(place, picture, job.out)} for place, picture in places]
    return row


def _file_for(location: Any, picture: Any, out: Path) -> str:
    """The raw file itself if a reader can use it as it is, else a copy in the folder `images` of the output."""
    if isinstance(location, str) and picture.is_original:
        return str(Path(location).absolute())
    suffix = "jpg" if picture.data.startswith(b"\xff\xd8") else "png"
    copy = (out / "images" / f"{picture.sha256}-{len(picture.data)}.{suffix}").absolute()
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        temporary = copy.with_name(f"{copy.name}.{os.getpid()}.tmp")
        temporary.write_bytes(picture.data)
        os.replace(temporary, copy)
    return str(copy)
