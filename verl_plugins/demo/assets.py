"""What the demo trains: a starting model that the package brings, and data that are made on the spot."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from verl_plugins.demo.tasks import Task

STARTS = Path(__file__).parent / "starts"  # a folder per task, made by verl_plugins.demo.making.make_starts
FACTS = "start.json"  # how a start was made, and the SHA-256 of each of its files
SEED = 0
ROWS = {"train": 1024, "val": 64}
SOURCES = {  # package -> files that make the data
    "data_prep.convert": ("parquet_groups.py",),
    "data_prep.row": ("schema.py",),
    "data_prep.synthetic": ("scenes.py", "shapes.py", "shapes_reasoning.py", "synthetic_row.py"),
}


def ensure_demo_assets(
    cache_dir: str | os.PathLike[str], task: Task, rows: Mapping[str, int] = ROWS
) -> tuple[Path, Path]:
    """Return the folders of the task's starting model and of its data, made if missing.

    Making the data takes seconds; a later call with the same sources and libraries returns at once. An interrupted call
    leaves nothing that a later call could mistake for finished.

    Args:
        cache_dir: folder for the data.
        task: the task.
        rows: rows of each split, that is of train.parquet, val.parquet and others that the task has.

    Raises:
        SystemExit: a file of the starting model is missing or has other bytes than it was made with.
    """
    start = STARTS / task.name
    if wrong := wrong_files(start):
        raise SystemExit(
            f"verl-plugins: {start}: got missing or changed files ({', '.join(wrong)}), expected those that the "
            "package brings; install it again"
        )
    data = Path(cache_dir) / f"{task.name}-{_fingerprint(rows)}"
    if not data.is_dir():
        unfinished = data.with_name(f".{data.name}.{os.getpid()}")
        try:
            for split, count in rows.items():
                task.write_split(unfinished, split, count, SEED)
            _publish(unfinished, data)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return start, data


def wrong_files(start: Path) -> list[str]:
    """Return the names of a start's files that are missing or do not have the SHA-256 that its facts record."""
    facts = start / FACTS
    if not facts.is_file():
        return [FACTS]
    recorded = json.loads(facts.read_text())["sha256"]
    return [name for name, digest in recorded.items() if _sha256(start / name) != digest]


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _publish(unfinished: Path, home: Path) -> None:
    try:
        os.replace(unfinished, home)
    except OSError:  # another process finished first; its files are equivalent
        if not home.is_dir():
            raise


def _fingerprint(rows: Mapping[str, int]) -> str:
    digest = hashlib.sha256(f"{dict(rows)} {SEED} {version('pillow')} {version('pyarrow')}".encode())
    for package, names in SOURCES.items():
        for name in names:
            digest.update((files(package) / name).read_bytes())
    return digest.hexdigest()[:12]
