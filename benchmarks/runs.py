"""What the benchmarks that train have in common: runs of the demo, one after the other, and their metrics."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from verl_plugins.monitor.metrics import read_json_lines, read_metrics, series
from verl_plugins.watchdog import RunFailed, run_watched


def attempt(
    command: list[str], run_dir: Path, number: int = 0, on_poll: Callable[[], None] = lambda: None
) -> str | None:
    """Start, or go on with, a training command; returns the last words of one that failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a run which is ended is cleaned up
    metrics = run_dir / "attempts" / f"{number:03d}.jsonl"
    metrics.parent.mkdir(parents=True, exist_ok=True)
    env = {"VERL_PLATFORM": "cpu", "VERL_FILE_LOGGER_PATH": str(metrics), "PYTHONWARNINGS": "ignore"}
    log = run_dir / f"train_{number:03d}.log"
    try:
        run_watched(
            command, log, env=env, limit_s=3600, silence_s=600, mark_file=run_dir / "processes.txt", on_poll=on_poll
        )
    except RunFailed:
        text = log.read_text(errors="replace")
        return text[text.rfind("verl-plugins: ") :] if "verl-plugins: " in text else ""
    return None


def metrics_of(run_dir: Path) -> dict[int, dict]:
    """Metrics by step, of the last attempt that made it."""
    files = sorted((run_dir / "attempts").glob("*.jsonl"))
    return {row["step"]: row["data"] for path in files for row in read_json_lines(path)[0]}


def refuse_used(out: Path) -> None:
    """End where a folder holds something: what stands there may be dear to somebody."""
    if out.is_dir() and any(out.iterdir()):
        raise SystemExit(f"--out {out}: got a folder that is not empty, expected a new one; remove it, or give --out")


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
