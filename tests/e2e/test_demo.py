"""``verl-plugins demo`` as a user runs it: killed in the middle, started again, to the end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from verl_plugins.watchdog import marked_processes

pytestmark = pytest.mark.slow

STEPS = 6


def demo(run_dir, cache):
    overrides = ["trainer.save_freq=2", "algorithm.ecvgpo.delta=0.5", "data.val_max_samples=16"]
    command = [sys.executable, "-m", "verl_plugins.cli", "demo", f"--out={run_dir}", f"--cache={cache}"]
    return [*command, f"--steps={STEPS}", *overrides]


def test_killed_in_the_middle_it_goes_on_from_the_last_checkpoint(demo_assets, tmp_path):
    run_dir, cache = tmp_path / "run", demo_assets[0].parent.parent
    latest = run_dir / "checkpoints" / "latest_checkpointed_iteration.txt"

    first = subprocess.Popen(demo(run_dir, cache), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 400
    while not latest.is_file() and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.2)
    assert latest.is_file(), (run_dir / "train.log").read_text()[-3000:]
    os.kill(first.pid, signal.SIGKILL)  # nothing cleans up: the trainer and its workers are orphans now
    first.wait()
    mark = (run_dir / "processes.txt").read_text()
    assert marked_processes(mark)

    second = subprocess.run(demo(run_dir, cache), capture_output=True, text=True, timeout=600, check=False)
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    assert marked_processes(mark) == []
    assert marked_processes((run_dir / "processes.txt").read_text()) == []
    assert "Resuming from" in (run_dir / "train.log").read_text()

    # One line a step, none missing and none twice, with what the method and the reward log.
    steps = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps] == list(range(STEPS + 1))  # 0 holds the validation before training
    assert "val-aux/shapes_grounding/iou/mean@1" in steps[0]["data"]
    assert "val-aux/shapes_grounding/iou/mean@1" in steps[-1]["data"]
    for row in steps[1:]:
        assert {"ecvgpo/gated_groups", "ecvgpo/self_information", "actor/entropy"} <= row["data"].keys()
        assert row["data"]["training/rollout_probs_diff_mean"] < 0.02  # vLLM and the FSDP actor are one policy
    assert sum(row["data"].get("ecvgpo/reshaped_tokens", 0) for row in steps) > 0

    # The report shows the run, and the table in the terminal is that of the report.
    report = (run_dir / "report.html").read_text()
    for expected in ("Reward", "Policy entropy", "Self-information", "Validation IoU", "data:image/png;base64"):
        assert expected in report, expected
    assert "Reward" in second.stdout
    assert str(run_dir / "report.html") in second.stdout

    # The checkpoint is a model that transformers loads.
    from transformers import AutoModelForImageTextToText

    AutoModelForImageTextToText.from_pretrained(
        run_dir / "checkpoints" / f"global_step_{STEPS}" / "actor" / "huggingface"
    )

    # A third start trains nothing and says so.
    third = subprocess.run(demo(run_dir, cache), capture_output=True, text=True, timeout=120, check=True)
    assert "holds a finished run" in third.stdout
