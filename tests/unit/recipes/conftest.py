"""Run a recipe with a ``python3`` that records its arguments, on a parquet file as long as any batch."""

from __future__ import annotations

import os
import subprocess

import pytest
from checked_run import ENOUGH, IMAGE, write_parquet


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    return write_parquet(tmp_path_factory.mktemp("data") / "rows.parquet", [[IMAGE]] * ENOUGH)


@pytest.fixture
def overrides_of(tmp_path, parquet):
    """Return the overrides that a recipe trains with, by running it with a ``python3`` that records its arguments."""
    spy = tmp_path / "bin" / "python3"
    spy.parent.mkdir()
    spy.write_text('#!/bin/sh\nprintf "%s\\0" "$@" >"$SEEN"\n')
    spy.chmod(0o755)
    seen = tmp_path / "seen"

    def run(recipe, *arguments, **env):
        files = {"TRAIN_FILES": str(parquet), "VAL_FILES": str(parquet), "OUT": str(tmp_path / "out")}
        path = f"{spy.parent}:{os.environ['PATH']}"
        variables = {**os.environ, **files, **env, "PATH": path, "SEEN": str(seen)}
        process = subprocess.run(
            ["bash", recipe, *arguments], env=variables, capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stderr
        command = seen.read_text().split("\0")[:-1]
        assert command[:2] == ["-m", "verl.trainer.main_ppo"]
        return command[2:]

    return run
