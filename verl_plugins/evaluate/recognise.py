"""Formats of data files, recognised by their columns or keys: rows of `data_prep`, and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.raw.json_files import json_lines, load_json
from data_prep.types import Row
from verl_plugins.evaluate.annotations import SUFFIXES
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
    """Return the format of a parquet file: the named one, or else the only one whose columns are all present.

    Raises:
        SystemExit: no format fits, or several do.
    """
    advice = "make such a file with python -m data_prep, or take the benchmark's parquet as the Hub has it"
    return _fitting(
        {form: form.columns for form in FORMATS.values()}, columns, named, f"{path}: got the columns", advice
    )


def format_of_annotations(path: Path, named: str | None) -> DataFormat:
    """Return the format of a benchmark's own JSON file: the named one, or else the only one whose keys are all present.

    Raises:
        SystemExit: the file is not JSON, has no records, or no format fits, or several do.
    """
    advice = "take the benchmark's files as its authors publish them"
    keys = {form: form.layout.keys for form in FORMATS.values() if form.layout is not None}
    return _fitting(keys, _keys_of(path), named, f"{path}: got records with", advice)


def annotations_in(folder: Path) -> Path:
    """Return the only file of annotations in a benchmark's folder, or in its folder `data`.

    Raises:
        SystemExit: there is none, or several.
    """
    names = sorted({name for form in FORMATS.values() if form.layout for name in form.layout.names})
    there = [place / name for place in (folder, folder / "data") for name in names if (place / name).is_file()]
    if len(there) == 1:
        return there[0]
    if there:
        raise SystemExit(f"--data {folder}: got several files of annotations, expected one; give {_either(there)}")
    content = sorted(path.name for path in folder.iterdir())
    raise SystemExit(
        f"--data {folder}: got a folder with {', '.join(content[:8]) or 'nothing'}, expected one of a benchmark, with "
        f"{_either(names)} (or the same in data/) beside its images; give a parquet file by its own name"
    )


def _keys_of(path: Path) -> set[str]:
    """Return the keys of the first record."""
    if path.suffix == SUFFIXES[1]:
        record = next((record for _, record in json_lines(path)), None)
    else:
        content = load_json(path)
        records = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
        record = next(iter(records), None)
    if not isinstance(record, dict):
        raise SystemExit(f"--data {path}: got no records, expected a list or lines of JSON objects")
    return set(record)


def _fitting(
    required: dict[DataFormat, frozenset[str]], names: set[str], named: str | None, what: str, advice: str
) -> DataFormat:
    """Return the only format whose required names are all there.

    Of two such formats where one requires all names of the other and more, the larger one is meant.
    """
    asked = {form: needs for form, needs in required.items() if named in (None, form.name)}
    if not asked:
        known = ", ".join(form.name for form in required)
        raise SystemExit(f"--format: got {named}, expected one of {known}, or none to recognise it; set --format")
    fits = [form for form, needs in asked.items() if needs <= names]
    fits = [form for form in fits if not any(asked[form] < asked[other] for other in fits)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise SystemExit(
            f"--data {what} {', '.join(sorted(names))}, which fit {_either([form.name for form in fits])}; choose one "
            "with --format"
        )
    expected = "; ".join(f"{form.name}: {', '.join(sorted(needs))}" for form, needs in asked.items())
    raise SystemExit(f"--data {what} {', '.join(sorted(names))}, expected those of one of: {expected}; {advice}")


def _either(names: Sequence[object]) -> str:
    return " or ".join(map(str, names))
