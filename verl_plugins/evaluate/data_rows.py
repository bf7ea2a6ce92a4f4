"""The rows to evaluate: selection from each file, and reading without holding a whole file in memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from data_prep.look.reading import rows_at
from data_prep.types import Rejection, Row
from verl_plugins.evaluate.annotations import SUFFIXES, Annotations
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow
from verl_plugins.evaluate.recognise import OWN, annotations_in, format_of, format_of_annotations

_SPLIT = re.compile(
    r"(?:^|[-_.])(train|validation|val|testA|testB|testmini_text_only|testmini|test|non_image|image)(?=$|[-_.])"
)


@dataclass(frozen=True)
class DataFile:
    """A parquet file, or a benchmark's file of annotations, and the rows of it that are evaluated.

    Args:
        path: the file.
        form: format of its rows.
        sha256: hash of its content, images beside it included.
        chosen: numbers of the rows to evaluate, ascending.
        sources: values of `data_source` in all its rows; empty for a benchmark.
    """

    path: Path
    form: DataFormat
    sha256: str
    chosen: tuple[int, ...]
    sources: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return what `evaluation.json` records of the file."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "format": self.form.name,
            "rows": len(self.chosen),
        }


def open_data(path: Path, named: str | None, sample: int | None, limit: int | None, seed: int) -> DataFile:
    """Open a data file and select the rows to evaluate.

    Args:
        path: a parquet file, a benchmark's own JSON file with the images beside it, or the folder that holds it.
        named: name of its format; None to recognise it.
        sample: number of rows to draw, as VLM-R1 draws them: shuffle with the seed, take the first.
        limit: number of rows to take from the beginning, of the sample if there is one.
        seed: seed of the sample.

    Raises:
        SystemExit: the file does not exist, is neither, has unknown columns, or has no rows.
    """
    path = annotations_in(path) if path.is_dir() else path
    if not path.is_file():
        raise SystemExit(
            f"--data {path}: got no such file, expected a parquet file or a benchmark's file of annotations"
        )
    if path.suffix in SUFFIXES:
        form = format_of_annotations(path, named)
        annotations = _annotations(path, form)
        annotations.check_images()
        chosen = choose_rows(len(annotations.records), sample, limit, seed)
        return DataFile(path, form, annotations.sha256(), chosen, ())
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SystemExit(f"--data {path}: expected a parquet file, got {error}") from None
    form = format_of(set(opened.schema_arrow.names), named, str(path))
    total = opened.metadata.num_rows
    if not total:
        raise SystemExit(f"--data {path}: got 0 rows, expected at least one")
    sources = set()
    if form is OWN:
        sources = {str(value) for value in opened.read(columns=["data_source"]).column(0).unique().to_pylist()}
    return DataFile(path, form, file_sha256(path), choose_rows(total, sample, limit, seed), tuple(sorted(sources)))


def choose_rows(total: int, sample: int | None, limit: int | None, seed: int) -> tuple[int, ...]:
    """Select row numbers below `total`, ascending; for `sample` and `limit` see `open_data`."""
    numbers = list(range(total))
    if sample is not None:
        Random(seed).shuffle(numbers)
        numbers = sorted(numbers[:sample])
    return tuple(numbers[:limit])


def read_rows(file: DataFile, numbers: Sequence[int]) -> Iterator[Row | UnusableRow]:
    """Yield the rows with these ascending numbers, in that order, as the file's format reads them."""
    split = split_of(file.path)
    for number, raw in zip(numbers, raw_rows(file, numbers), strict=True):
        yield raw if isinstance(raw, UnusableRow) else file.form.read(raw, number, split)


def raw_rows(file: DataFile, numbers: Sequence[int]) -> Iterator[Raw | UnusableRow]:
    """Yield the rows with these ascending numbers as the Hub's parquet has them.

    Raises:
        SystemExit: the file has fewer rows, so that the numbers are of damaged results.
    """
    if file.path.suffix not in SUFFIXES:
        import pyarrow.parquet as pq

        opened = pq.ParquetFile(file.path)
        _check_numbers(file.path, numbers, opened.metadata.num_rows)
        yield from (row for _, row in rows_at(opened, numbers))
        return
    annotations = _annotations(file.path, file.form)
    _check_numbers(file.path, numbers, len(annotations.records))
    for raw in annotations.rows_at(numbers):
        yield UnusableRow(raw.reason, raw.detail) if isinstance(raw, Rejection) else raw


def _check_numbers(path: Path, numbers: Sequence[int], total: int) -> None:
    if numbers and numbers[-1] >= total:
        raise SystemExit(
            f"{path}: got row {numbers[-1]} in results.jsonl, expected less than {total}, the file's number of rows; "
            "restore the results, or evaluate again into another --out"
        )


def data_sha256(path: Path, form: DataFormat) -> str:
    """Hash the content of a data file, images beside it included."""
    return _annotations(path, form).sha256() if path.suffix in SUFFIXES else file_sha256(path)


def _annotations(path: Path, form: DataFormat) -> Annotations:
    assert form.layout is not None, form.name
    return Annotations(path, form.layout)


def file_sha256(path: Path) -> str:
    """Hash the content of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def split_of(path: Path) -> str:
    """Return the split in a file's name ("testmini-00000-of-00001.parquet"), else the name without its suffix."""
    match = _SPLIT.search(path.stem)
    return match[1] if match else path.stem
