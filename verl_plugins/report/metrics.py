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


def load_metrics(path: str | Path) -> MetricLog:
    """Read the metrics file of one run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no readable record.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such metrics file; run with trainer.logger=[console,file] and VERL_FILE_LOGGER_PATH={path}"
        )
    rows, unreadable = read_json_lines(path)
    records = [row for row in rows if _is_record(row)]
    return merge_records(records, unreadable + len(rows) - len(records), path)


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


def first_and_last_step(folder: Path, last_step: int) -> list[tuple[int, Path]]:
    """Return (step, file) of the first and the last `{step}.jsonl` up to `last_step`; fewer if there are fewer."""
    files = sorted((int(path.stem), path) for path in folder.glob("*.jsonl") if path.stem.isdecimal())
    files = [(step, path) for step, path in files if step <= last_step]
    return files if len(files) < 2 else [files[0], files[-1]]


def series(steps: list[dict], key: str) -> list[tuple[int, float]]:
    """Return the (step, value) points of one metric, without the steps where it is missing or no finite number."""
    return [(row["step"], float(row[key])) for row in steps if is_number(row.get(key))]


def is_number(value: object) -> bool:
    """Tell whether a value read from JSON is a finite number (true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_record(row: dict) -> bool:
    step = row.get("step")
    return isinstance(step, int) and not isinstance(step, bool) and isinstance(row.get("data"), dict)
