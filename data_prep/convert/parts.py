"""Converts one part of a run: its rows are written as one file, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from data_prep.atomic import replacing, write_atomically
from data_prep.convert.parquet_groups import RowGroups
from data_prep.convert.plan import Part
from data_prep.raw.fetch import fetch_image
from data_prep.row.images import EncodedImage
from data_prep.row.make_row import RowKind, make_row
from data_prep.types import Location, RawRow, RejectedRow, Rejection, Row, Sample
from reward_fns.earnable import unearnable_gold

REJECTS = b"rejects"  # metadata key of a part's file; its value is a JSON list of lines of rejects.jsonl
LOAD_DEPENDENT = ("timeout", "error")
"""Statuses of a busy machine; a row that got one is kept, since the same run must write the same rows each time."""


@dataclass(frozen=True)
class ConversionJob:
    """Settings that all parts of a run share; they are pickled and sent to other processes.

    Args:
        read: `RawForm.read` of the source's form.
        kind: data source, ability and prompt template of the rows.
        images: "embed" to write image bytes, "path" to write paths.
        budget: largest number of pixels of an image; larger ones are scaled down. None keeps every size.
        min_side: rows whose image has a side of fewer pixels are rejected.
        excluded: hashes of images; rows that show one are rejected.
        keep_unearnable: whether to keep rows whose gold answer their own reward does not accept.
        out: the output folder.
    """

    read: Callable[[dict[str, Any]], Sample | Rejection]
    kind: RowKind
    images: str
    budget: int | None
    min_side: int
    excluded: frozenset[str]
    keep_unearnable: bool
    out: Path

    def settings_text(self) -> str:
        """Return everything that decides how a row is converted, as text to be hashed.

        It contains the output folder only for images by path, because only then do rows name files in it.
        """
        folder = self.out.absolute() if self.images == "path" else ""
        read = f"{self.read.__module__}.{self.read.__qualname__}"
        limits = f"{self.budget} {self.min_side} {self.keep_unearnable} {sorted(self.excluded)}"
        return f"{_version()} {read} {self.kind} {self.images} {limits} {folder}"

    @property
    def folder(self) -> Path:
        """The folder that keeps the parts until the run is complete."""
        return self.out / ".parts"

    def file_of(self, part: Part) -> Path:
        """Return the file of a part; its name changes with anything that would change the part's rows."""
        return self.folder / f"{part.key}.parquet"


def _version() -> str:
    """Return the version of this package: another one may convert otherwise."""
    try:
        return version("verl-plugins")
    except PackageNotFoundError:  # a checkout that is not installed
        return ""


def write_part(job: ConversionJob, part: Part) -> int:
    """Convert one part and write its file, unless the file exists. Return the number of raw rows in the part.

    Raises:
        OSError: a file cannot be written.
    """
    path = job.file_of(part)
    if not path.exists():
        rejects: list[str] = []
        with replacing(path) as temporary, RowGroups(temporary) as groups:
            for row in _converted_rows(job, part, rejects):
                groups.add(row)
            groups.describe({REJECTS.decode(): json.dumps(rejects)})
    return len(part.rows)


def _converted_rows(job: ConversionJob, part: Part, rejects: list[str]) -> Iterator[Row]:
    """Yield the converted rows of a part; the lines of rejected rows are appended to `rejects`."""
    for index, raw in part.rows:
        try:
            row = convert_row(job, raw, index)
        except OSError:
            raise
        except Exception as error:  # one bad row must not stop the run; it is counted under its own reason
            row = Rejection("unexpected_error", f"{type(error).__name__}: {error}"[:200])
        if isinstance(row, Rejection):
            rejects.append(RejectedRow(raw.split, raw.source, row).line())
        else:
            yield row


def convert_row(job: ConversionJob, raw: RawRow, index: int) -> Row | Rejection:
    """Convert one raw row, with its images; `index` is its position among the raw rows of its split."""
    sample = job.read(json.loads(raw.data))
    if isinstance(sample, Rejection):
        return sample
    images = []
    for location in sample.images:
        image = fetch_image(location, job.budget)
        if isinstance(image, Rejection):
            return image
        if min(image.width, image.height) < job.min_side:
            return Rejection("image_too_small", f"{image.width} x {image.height}")
        if image.sha256 in job.excluded:
            return Rejection("image_excluded", image.sha256)
        images.append(image)
    row = make_row(sample, images, job.kind, raw.split, index)
    if isinstance(row, Rejection):
        return row
    gold = row["reward_model"]["ground_truth"]
    status = None if job.keep_unearnable else unearnable_gold(job.kind.data_source, gold, row["extra_info"])
    if status and status not in LOAD_DEPENDENT:
        return Rejection("unearnable_gold", f"{status}: {gold[:80]}")
    if job.images == "path":
        pairs = zip(sample.images, images, strict=True)
        row["images"] = [{"bytes": None, "path": _path_of(location, image, job.out)} for location, image in pairs]
    return row


def _path_of(location: Location, image: EncodedImage, out: Path) -> str:
    """Return the raw file itself if readers can use it unchanged, else a copy in the output's folder `images`."""
    if isinstance(location, str) and image.is_original:
        return str(Path(location).absolute())
    suffix = "jpg" if image.data.startswith(b"\xff\xd8") else "png"
    copy = (out / "images" / f"{image.sha256}-{len(image.data)}.{suffix}").absolute()
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, image.data)
    return str(copy)
