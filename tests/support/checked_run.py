"""Runs as the preflight sees them: overrides, and a file of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from verl_plugins.compose import compose_run
from verl_plugins.preflight import check_run

IMAGE = {"bytes": b"not read", "path": None}
ENOUGH = 1024
"""Rows of verl's default batch."""

FEW = ("data.train_batch_size=2", "actor_rollout_ref.actor.ppo_mini_batch_size=2")
"""A batch for a file of few rows."""


def write_parquet(path: Path, images: list, column: str = "images") -> str:
    """Write a row for each entry of ``images``, a list of images; returns the path."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "data_source": ["refcoco"] * len(images),
        "prompt": [[{"role": "user", "content": "<image>?"}]] * len(images),
        "reward_model": [{"style": "rule", "ground_truth": "[1, 2, 3, 4]"}] * len(images),
        column: pa.array(images, type=pa.list_(struct)),
    }
    pq.write_table(pa.table(columns), path)
    return str(path)


def problems(overrides: Sequence[str]) -> list[str]:
    """Compose the overrides and check the run, which samples with vLLM unless they say otherwise."""
    return check_run(compose_run(["actor_rollout_ref.rollout.name=vllm", *overrides]))
