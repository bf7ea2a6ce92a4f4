"""A data set: what its declaration in `data_prep.datasets` says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from data_prep.raw_forms.raw_form import RawForm, Source


@dataclass(frozen=True)
class DataSet:
    """A data set and the raw forms in which it is distributed.

    Args:
        name: NAME on the command line, and the `data_source` of its rows.
        ability: "grounding" or "math"; also the `ability` of its rows.
        summary: its line in `python -m data_prep --help`.
        description: the text of its own `--help`.
        forms: its raw forms, the best first.
        template: the default prompt template, a key of `data_prep.row.prompts.TEMPLATES`.
        splits_by: the authors who split it, where several did; the first is the default of `--splits-by`.
        published: the published number of rows of each split, by "form" or, with `splits_by`, "form/author".
        add_options: adds options of its own to the parser of its converter; None if it has none.
        with_options: (data set, source, parsed arguments) to the data set and the source that these options mean.
    """

    name: str
    ability: str
    summary: str
    description: str
    forms: tuple[RawForm, ...]
    template: str
    splits_by: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    add_options: Callable[[argparse.ArgumentParser], None] | None = None
    with_options: Callable[[DataSet, Source, argparse.Namespace], tuple[DataSet, Source]] | None = None

    def form_of(self, source: Source, name: str | None) -> RawForm:
        """Return the form of this name, or the only form that the source has.

        Raises:
            SystemExit: the source does not have the named form, or has no form, or several.
        """
        matches = [form for form in self.forms if name in (None, form.name) and form.recognise(source)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(form.name for form in matches)
            raise SystemExit(f"{self.name}: {source.path} has several forms ({names}); choose one with --format")
        expected = [f"  {form.name}: {form.about}" for form in self.forms if name in (None, form.name)]
        lines = "\n".join([*expected, *source.files.unreadable])
        raise SystemExit(f"{self.name}: {source.path} has none of the expected forms; set --source\n{lines}")

    def published_rows(self, form: RawForm, splits_by: str | None) -> Mapping[str, int]:
        """Return the published number of rows of each split; empty if none was published for this form."""
        return self.published.get(f"{form.name}/{splits_by}" if splits_by else form.name, {})
