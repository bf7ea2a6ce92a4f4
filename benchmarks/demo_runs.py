"""Runs of the demo, one after the other, and their metrics: shared by the benchmarks that train."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from verl_plugins.demo.assets import ROWS, ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command
from verl_plugins.demo.watchdog import RunFailed, run_watched
from verl_plugins.report.metrics import read_json_lines


def attempt(
    command: list[str], run_dir: Path, number: int = 0, on_poll: Callable[[], None] = lambda: None
) -> str | None:
    """Start or resume a training command, and wait for its end.

    Args:
        command: the command.
        run_dir: folder for its log, metrics and marks of its processes.
        number: number of the attempt, part of the names of the log and the file of metrics.
        on_poll: called while the command runs.

    Returns:
        None, or if it failed, its log from the plugin's last error message on ("" if there is none).
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that SIGTERM cleans up the run
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


def train(
    run_dir: Path,
    cache: Path,
    task: str,
    method: str,
    seed: int,
    steps: int,
    overrides: Sequence[str] = (),
    rows: Mapping[str, int] = ROWS,
) -> None:
    """Train what `verl-plugins demo` trains from the start, without its report, checkpoints and first validation.

    Args:
        run_dir: folder of the run; removed first if an interrupted run left it.
        cache: folder of the demo's data.
        task: task of the demo.
        method: value of ``+method``.
        overrides: further Hydra overrides.
        rows: rows of each split of the data; "ood" is validated on, too, if it is there.

    Raises:
        SystemExit: training failed; the message names its log.
    """
    shutil.rmtree(run_dir, ignore_errors=True)
    model, data = ensure_demo_assets(cache, TASKS[task], rows)
    val_files = ",".join(str(data / f"{split}.parquet") for split in rows if split != "train")
    seeds = [f"data.seed={seed}", f"actor_rollout_ref.rollout.seed={seed}"]
    ours = [f"data.val_files=[{val_files}]", *seeds, "trainer.save_freq=-1", "trainer.val_before_train=false"]
    overrides = [*ours, *overrides]
    failed = attempt(training_command(model, data, run_dir, TASKS[task], method, steps, overrides), run_dir)
    if failed is not None:
        raise SystemExit(f"{run_dir / 'train_000.log'}: {failed}")


def metrics_of(run_dir: Path) -> dict[int, dict]:
    """Metrics by step. Of a step that several attempts trained, the last attempt's."""
    files = sorted((run_dir / "attempts").glob("*.jsonl"))
    return {row["step"]: row["data"] for path in files for row in read_json_lines(path)[0]}


def refuse_used(out: Path) -> None:
    """Exit if the folder is not empty, so that nothing in it is overwritten."""
    if out.is_dir() and any(out.iterdir()):
        raise SystemExit(f"--out {out}: got a folder that is not empty, expected a new one; remove it, or give --out")
