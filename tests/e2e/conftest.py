"""The demo in bf16 mixed precision, run once for the tests that look at it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from precision import BF16, FEW_PROMPTS

from verl_plugins.demo.watchdog import marked_processes


@dataclass(frozen=True)
class DemoRun:
    """A demo that was killed in the middle and started again, to its end."""

    command: list[str]
    run_dir: Path
    steps: int
    message: str
    """Output of the second start."""
    first_mark: str
    """Mark of the first start's processes."""


@pytest.fixture(scope="session")
def demo_run(demo_assets, tmp_path_factory):
    run_dir, cache, steps = tmp_path_factory.mktemp("demo") / "run", demo_assets[1].parent, 4
    command = [sys.executable, "-m", "verl_plugins.cli", "demo", f"--out={run_dir}", f"--cache={cache}"]
    command += [f"--steps={steps}", *BF16, *FEW_PROMPTS, "trainer.save_freq=2", "algorithm.ecvgpo.delta=0.5"]
    sampling = "actor_rollout_ref.rollout.val_kwargs"
    command += [f"{sampling}.temperature=0", f"{sampling}.do_sample=false"]
    latest = run_dir / "checkpoints" / "latest_checkpointed_iteration.txt"
    metrics = run_dir / "metrics.jsonl"

    def has_saved_and_logged():
        return latest.is_file() and len(metrics.read_text().splitlines()) > int(latest.read_text())

    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 400
    while not has_saved_and_logged() and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.2)
    assert has_saved_and_logged(), (run_dir / "train.log").read_text()[-3000:]
    os.kill(first.pid, signal.SIGKILL)  # nothing cleans up: the trainer and its workers are orphans now
    first.wait()
    mark = (run_dir / "processes.txt").read_text()
    orphans = marked_processes(mark)
    assert orphans
    for process in orphans:  # on a busy machine they may train the last steps before a second start ends them
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()

    second = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    return DemoRun(command, run_dir, steps, second.stdout, mark)
