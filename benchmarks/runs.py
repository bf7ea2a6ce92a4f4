"""What the benchmarks that train have in common: runs of the demo, one after the other, and their metrics."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from verl_plugins.monitor.metrics import read_metrics, series


def run_demo(run_dir: Path, options: Sequence[str], seed: int, steps: int) -> None:
    """Train with the demo's command line; a run that ``run_dir`` holds finished is kept.

    Raises:
        subprocess.CalledProcessError: the run failed; ``run_dir/train.log`` says why.
    """
    command = [sys.executable, "-m", "verl_plugins.cli", "demo", f"--out={run_dir}", f"--steps={steps}", *options]
    command += [f"data.seed={seed}", f"actor_rollout_ref.rollout.seed={seed}", f"trainer.save_freq={steps}"]
    print(" ".join(command[1:]), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def folder(out: Path, name: str, seed: int) -> Path:
    """Of the run of a variant with a seed."""
    return out / ("".join(c if c.isalnum() else "_" for c in name.lower()) + f"_seed{seed}")


def values(out: Path, name: str, seed: int, metric: str) -> list[float]:
    """A run's metric, step by step."""
    return [value for _, value in series(read_metrics(folder(out, name, seed) / "metrics.jsonl"), metric)]
