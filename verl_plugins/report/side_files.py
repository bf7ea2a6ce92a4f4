"""Files that a report can do without: one that is damaged is named in the report's notes, and the rest is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def read_side_file(path: Path, read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    """Return what ``read`` makes of a file, or ``otherwise``, with a note that names the file, if it raises.

    Args:
        path: the file, for the note.
        read: reads it.
        otherwise: what is shown without it.
        notes: where the note is added.
    """
    try:
        return read()
    except Exception as error:  # of records of other versions, lines that were cut off, bad images
        notes.append(f"Not shown: {path}, which cannot be read ({reason_of(error)}).")
        return otherwise


def reason_of(error: Exception) -> str:
    """Return an exception in one line, at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
