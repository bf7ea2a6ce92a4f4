"""The demo's data and warmed-up model, made once and kept until the code that makes them changes."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
from pathlib import Path

import torch
import transformers

import data_prep.schema
import data_prep.shapes
import verl_plugins.demo.tiny_vlm
import verl_plugins.demo.warmup
from data_prep.shapes import write_splits
from verl_plugins.demo.tiny_vlm import build_tiny_vlm
from verl_plugins.demo.warmup import warm_up

TRAIN_ROWS, VAL_ROWS, SEED = 1024, 64, 0
SOURCES = (data_prep.schema, data_prep.shapes, verl_plugins.demo.tiny_vlm, verl_plugins.demo.warmup)


def ensure_demo_assets(cache_dir: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The folders of the warmed-up model and of the data (train.parquet, val.parquet), made in `cache_dir` if missing.

    Making them takes about two minutes on two cores; a later call with the same sources and libraries returns at once.
    An interrupted call leaves nothing that a later one would take for finished.
    """
    home = Path(cache_dir) / f"demo-{_fingerprint()}"
    if not home.is_dir():
        unfinished = home.with_name(f".{home.name}.{os.getpid()}")
        try:
            write_splits(unfinished / "data", TRAIN_ROWS, VAL_ROWS, SEED)
            build_tiny_vlm(unfinished / "random", SEED)
            warm_up(unfinished / "random", unfinished / "model")
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
