"""The demo's data and warmed-up model, made once and kept until the code that makes them changes."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
from pathlib import Path

import torch
import transformers

import data_prep.parquet_groups
import data_prep.schema
import data_prep.shapes
import data_prep.shapes_reasoning
import data_prep.synthetic
import verl_plugins.demo.tasks
import verl_plugins.demo.tiny_vlm
import verl_plugins.demo.warmup
from verl_plugins.demo.tasks import Task
from verl_plugins.demo.tiny_vlm import build_tiny_vlm
from verl_plugins.demo.warmup import warm_up

TRAIN_ROWS, VAL_ROWS, SEED = 1024, 64, 0
SOURCES = (
    data_prep.parquet_groups,
    data_prep.schema,
    data_prep.shapes,
    data_prep.shapes_reasoning,
    data_prep.synthetic,
    verl_plugins.demo.tasks,
    verl_plugins.demo.tiny_vlm,
    verl_plugins.demo.warmup,
)


def ensure_demo_assets(cache_dir: str | os.PathLike[str], task: Task) -> tuple[Path, Path]:
    """The folders of the task's warmed-up model and data (train.parquet, val.parquet), made in `cache_dir` if missing.

    Making them takes about two minutes on two cores; a later call with the same sources and libraries returns at once.
    An interrupted call leaves nothing that a later one would take for finished.
    """
    home = Path(cache_dir) / f"{task.name}-{_fingerprint()}"
    if not home.is_dir():
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
    except OSError:  # another process finished first: its files are as good
        if not home.is_dir():
            raise


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{TRAIN_ROWS} {VAL_ROWS} {SEED} {torch.__version__} {transformers.__version__}".encode())
    for module in SOURCES:
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()[:12]
