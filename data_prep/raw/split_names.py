"""Parquet files of the Hub: which of a source's have certain columns, and which split a file is of."""

from __future__ import annotations

import re
from pathlib import Path

from data_prep.raw.parquet_files import columns_of
from data_prep.raw_forms.raw_form import Source

_SPLIT = re.compile(r"(?:^|[-_.])(train|validation|val|testA|testB|test)(?=$|[-_.])")


def files_with(source: Source, columns: set[str]) -> list[Path]:
    """The parquet files that have at least these columns."""
    return [path for path in source.files.plain(".parquet") if columns <= columns_of(path)]


def split_of_file(path: Path, otherwise: str = "") -> str:
    """The split in a file's name ("val-00000-of-00002.parquet"), else in its folder's, else `otherwise`."""
    for name in (path.stem, path.parent.name):
        match = _SPLIT.search(name)
        if match:
            return "val" if match[1] == "validation" else match[1]
    return otherwise
