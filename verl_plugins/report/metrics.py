"""Read the metrics that verl's "file" logger writes: one `{"step": int, "data": {name: value}}` a line.

A run that resumes logs its checkpoint step a second time, with validation values only, and repeats the steps that came
after the checkpoint. Records of one step are therefore merged key by key, and the later value wins. Where the step
number goes back, the steps after it belong to work that the resume threw away, so they are dropped and reported.
verl logs NaN as null.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MetricLog:
    """The metrics of one run, and the defects of its file.

    steps: one dict per step with `step` (int) and the logged values, in order of step, never empty.
    unreadable_lines: lines that are no record; one is usual if the run was killed while writing.
    repeated: steps logged more than once.
    abandoned: steps logged before a resume from an earlier checkpoint and not reached again.
    """

    steps: list[dict]
    unreadable_lines: int
    repeated: list[int]
    abandoned: list[int]


def load_metrics(*paths: Path) -> MetricLog:
    """Read the metrics files of one run, in the order of its starts.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the files hold no readable record.
    """
    rows, unreadable = [], 0
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: got no such file, expected one of verl's file logger")
        more, torn = read_json_lines(path)
        rows += more
        unreadable += torn
    records = [row for row in rows if _is_record(row)]
    return merge_records(records, unreadable + len(rows) - len(records), paths[-1])


def merge_records(records: list[dict], unreadable: int, path: Path) -> MetricLog:
    """Merge the records of one run, given in the order of logging, as the docstring of this module describes.

    Raises:
        ValueError: there are no records; the message names `path`.
    """
    if not records:
        raise ValueError(f"{path}: got no metrics record and {unreadable} unreadable lines, expected at least one step")
    steps: dict[int, dict] = {}
    repeated, abandoned = set(), set()
    for record in records:
        step = record["step"]
        if step in steps:
            repeated.add(step)
        for later in [known for known in steps if known > step]:
            abandoned.add(later)
            del steps[later]
        steps.setdefault(step, {"step": step}).update(record["data"])
    repeated |= abandoned & steps.keys()
    return MetricLog([steps[s] for s in sorted(steps)], unreadable, sorted(repeated), sorted(abandoned - steps.keys()))


def read_json_lines(path: Path) -> tuple[list[dict], int]:
    """Return the JSON objects of a file, one per line, and the number of other lines. Blank lines are skipped."""
    rows, unreadable = [], 0
    for line in path.read_bytes().splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            unreadable += 1
    return rows, unreadable


def steps_over_time(folder: Path, last_step: int, most: int) -> list[tuple[int, Path]]:
    """Return (step, file) of at most ``most`` files `{step}.jsonl` up to ``last_step``, the first and the last included
    and the others spread evenly between them."""
    files = sorted((int(path.stem), path) for path in folder.glob("*.jsonl") if path.stem.isdecimal())
    files = [(step, path) for step, path in files if step <= last_step]
    return [files[index] for index in spread(len(files), most)]


def spread(total: int, count: int) -> list[int]:
    """Return at most `count` evenly spaced indices from 0 to total − 1, both included: 16, 4 → 0, 5, 10, 15."""
    if total <= count:
        return list(range(total))
    return [round(i * (total - 1) / (count - 1)) for i in range(count)]


def series(steps: list[dict], key: str) -> list[tuple[int, float]]:
    """Return the (step, value) points of one metric, without the steps where it is missing or no finite number."""
    return [(row["step"], float(row[key])) for row in steps if is_number(row.get(key))]


def is_number(value: object) -> bool:
    """Tell whether a value read from JSON is a finite number (true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_record(row: dict) -> bool:
    step = row.get("step")
    return isinstance(step, int) and not isinstance(step, bool) and isinstance(row.get("data"), dict)
