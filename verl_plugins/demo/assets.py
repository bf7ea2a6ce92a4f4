"""The demo's data and warmed-up model, built once and cached until the code that builds them changes."""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from verl_plugins.demo.tasks import Task

TRAIN_ROWS, VAL_ROWS, SEED = 1024, 64, 0
SOURCES = {  # package -> files that build the assets
    "data_prep.convert": ("parquet_groups.py",),
    "data_prep.row": ("schema.py",),
    "data_prep.synthetic": ("shapes.py", "shapes_reasoning.py", "synthetic_row.py"),
    "verl_plugins.demo": ("tasks.py", "tiny_vlm.py", "warmup.py"),
}


def ensure_demo_assets(cache_dir: str | os.PathLike[str], task: Task) -> tuple[Path, Path]:
    """Return the folders of the task's warmed-up model and data (train.parquet, val.parquet), built if missing.

    Building takes about two minutes on two cores; a later call with the same sources and libraries returns at once. An
    interrupted call leaves nothing that a later call could mistake for finished.
    """
    home = Path(cache_dir) / f"{task.name}-{_fingerprint()}"
    if not home.is_dir():
        from verl_plugins.demo.tiny_vlm import build_tiny_vlm  # imports torch and transformers, which takes seconds
        from verl_plugins.demo.warmup import warm_up

        unfinished = home.with_name(f".{home.name}.{os.getpid()}")
        try:
            task.write_splits(unfinished / "data", TRAIN_ROWS, VAL_ROWS, SEED)
            build_tiny_vlm(unfinished / "random", task, SEED)
            warm_up(unfinished / "random", unfinished / "model", task)
            shutil.rmtree(unfinished / "random")
            _publish(unfinished, home)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return home / "model", home / "data"


def _publish(unfinished: Path, home: Path) -> None:
    try:
        os.replace(unfinished, home)
    except OSError:  # another process finished first; its files are equivalent
        if not home.is_dir():
            raise


def _fingerprint() -> str:
    libraries = f"{version('torch')} {version('transformers')}"
    digest = hashlib.sha256(f"{TRAIN_ROWS} {VAL_ROWS} {SEED} {libraries}".encode())
    for package, names in SOURCES.items():
        for name in names:
            digest.update((files(package) / name).read_bytes())
    return digest.hexdigest()[:12]
