"""Runs as the preflight sees them: overrides, and a file of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from verl_plugins.compose import compose_run
from verl_plugins.preflight import check_run

IMAGE = {"bytes": b"not read", "path": None}


def write_parquet(path: Path, images: list, column: str = "images") -> str:
    """Write a row for each entry of ``images``, a list of images; returns the path."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    prompts = [[{"role": "user", "content": "<image>?"}]] * len(images)
    table = pa.table({"prompt": prompts, column: pa.array(images, type=pa.list_(struct))})
    pq.write_table(table, path)
    return str(path)


def problems(overrides: Sequence[str]) -> list[str]:
    """Compose the overrides and check the run."""
    return check_run(compose_run(overrides))
