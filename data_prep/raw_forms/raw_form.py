"""A raw form: one way in which a data set is distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.raw.files import Files
from data_prep.raw_forms.named_fields import OwnTables
from data_prep.types import RawRow, RejectedRow, Rejection, Sample


@dataclass(frozen=True)
class Source:
    """The raw data set that the user names on the command line.

    Args:
        path: `--source`, a folder or a file.
        files: all files under `path` and under the `--image-root` folders.
        splits_by: `--splits-by`, whose splits to use; None if the data set has only one set of splits.
        own: the user's own tables and the fields that they named; None for a data set whose fields are known.
    """

    path: Path
    files: Files
    splits_by: str | None = None
    own: OwnTables | None = None


@dataclass(frozen=True)
class RawForm:
    """One raw form of a data set.

    Args:
        name: its value of `--format`.
        about: its layout on disk, for the help and for messages.
        recognise: whether a source has this form; must be quick.
        list_rows: every raw row of a source, in any order that is always the same.
        read: the pure function from the fields of a raw row to a sample. It must be defined at the top level of a
            module, so that it can be sent to other processes.
    """

    name: str
    about: str
    recognise: Callable[[Source], bool]
    list_rows: Callable[[Source], Iterator[RawRow | RejectedRow]]
    read: Callable[[dict[str, Any]], Sample | Rejection]
