"""Formats recognised by the columns of a parquet file: rows of `data_prep`, and benchmarks of the Hub."""

from __future__ import annotations

from data_prep.types import Row
from verl_plugins.evaluate.benchmarks import BENCHMARKS
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow


def read_own(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Return a row that `data_prep` wrote unchanged, with defaults for missing images and `extra_info`."""
    if not raw["prompt"] or not isinstance(raw["reward_model"], dict):
        return UnusableRow("row_malformed", f"prompt {raw['prompt']!r}, reward_model {raw['reward_model']!r}"[:200])
    return {**raw, "images": raw.get("images") or [], "extra_info": raw.get("extra_info") or {}}


OWN = DataFormat("own", frozenset({"data_source", "prompt", "reward_model"}), read_own)
FORMATS = {form.name: form for form in (OWN, *BENCHMARKS)}


def format_of(columns: set[str], named: str | None, path: str) -> DataFormat:
    """Return the named format, or else the only one whose columns are all present.

    Of two such formats where one has all columns of the other and more, the larger one is meant.

    Raises:
        SystemExit: no format fits, or several do.
    """
    fits = [form for form in FORMATS.values() if named in (None, form.name) and form.columns <= columns]
    fits = [form for form in fits if not any(form.columns < other.columns for other in fits)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise SystemExit(f"--data {path}: fits {', '.join(form.name for form in fits)}; choose one with --format")
    expected = "; ".join(
        f"{form.name}: {', '.join(sorted(form.columns))}" for form in FORMATS.values() if named in (None, form.name)
    )
    raise SystemExit(
        f"--data {path}: got the columns {', '.join(sorted(columns))}, expected those of one of: {expected}; "
        "make such a file with python -m data_prep, or take the benchmark's parquet as the Hub has it"
    )
