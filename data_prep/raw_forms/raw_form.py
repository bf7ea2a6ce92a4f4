"""What a data set is to the converter: its name, the forms it comes in, and how many rows its authors published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.raw.files import Files
from data_prep.types import RawRow, Reject, RejectedRow, Sample


@dataclass(frozen=True)
class Source:
    """What the user points at.

    Args:
        path: a folder or a file.
        files: everything under it and under the image folders.
        splits_by: who divided the data set, where several did.
    """

    path: Path
    files: Files
    splits_by: str | None = None


@dataclass(frozen=True)
class Format:
    """One raw form of a data set.

    Args:
        name: for `--format`.
        about: what it looks like on disk, for the help and for messages.
        recognise: whether a source has this form; quick.
        list_rows: every raw row of a source, in an order of its own.
        read: the pure function from a raw row's fields to a sample; a function of a module, so that processes share it.
    """

    name: str
    about: str
    recognise: Callable[[Source], bool]
    list_rows: Callable[[Source], Iterator[RawRow | RejectedRow]]
    read: Callable[[dict[str, Any]], Sample | Reject]


@dataclass(frozen=True)
class DataSet:
    """A data set with its forms, the best first.

    Args:
        name: also its rows' `data_source`.
        ability: "grounding" or "math"; also its rows' `ability`.
        about: one line for the help.
        formats: the forms it comes in.
        template: the prompt template it uses unless told otherwise.
        splits_by: who divided it; the first is the default.
        published: rows by form and split, "form/who divided it" where several did.
    """

    name: str
    ability: str
    about: str
    formats: tuple[Format, ...]
    template: str
    splits_by: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def format_of(self, source: Source, named: str | None) -> Format:
        """The form named, or the only one that the source has.

        Raises:
            SystemExit: the source has not the form named, or none, or several.
        """
        fits = [form for form in self.formats if named in (None, form.name) and form.recognise(source)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            names = ", ".join(form.name for form in fits)
            raise SystemExit(f"{self.name}: {source.path} has several forms ({names}); choose one with --format")
        expected = "\n".join(f"  {form.name}: {form.about}" for form in self.formats if named in (None, form.name))
        raise SystemExit(f"{self.name}: {source.path} has none of the expected forms; set --source\n{expected}")

    def published_rows(self, form: Format, splits_by: str | None) -> Mapping[str, int]:
        """Rows by split, as published; empty where they were not."""
        return self.published.get(f"{form.name}/{splits_by}" if splits_by else form.name, {})
