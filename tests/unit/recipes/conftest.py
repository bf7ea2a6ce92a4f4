"""Run a recipe with a ``python3`` that records its arguments, on a parquet file of one row."""

from __future__ import annotations

import os
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([[{"bytes": b"not read", "path": None}]], type=pa.list_(struct))
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    pq.write_table(pa.table({"prompt": [[{"role": "user", "content": "<image>?"}]], "images": images}), path)
    return path


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
