"""``verl-plugins demo`` as a user runs it: killed in the middle, started again, to the end."""

import json
import subprocess

import pytest
from precision import BF16_DISTANCE

from verl_plugins.demo.watchdog import marked_processes

pytestmark = pytest.mark.slow


def test_killed_in_the_middle_it_goes_on_from_the_last_checkpoint(demo_run):
    run_dir = demo_run.run_dir
    assert marked_processes(demo_run.first_mark) == set()
    assert marked_processes((run_dir / "processes.txt").read_text()) == set()
    assert "Resuming from" in (run_dir / "train.log").read_text()

    # One line a step, none missing and none twice, with what the method and the reward log.
    steps = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps] == list(range(demo_run.steps + 1))  # 0 is the validation before training
    assert "val-aux/shapes_grounding/iou/mean@1" in steps[0]["data"]
    assert "val-aux/shapes_grounding/iou/mean@1" in steps[-1]["data"]
    for row in steps[1:]:
        assert {"ecvgpo/gated_groups", "ecvgpo/self_information", "actor/entropy"} <= row["data"].keys()
        # vLLM in float32 and the FSDP actor in bf16 are one policy
        assert 0 < row["data"]["training/rollout_probs_diff_mean"] < BF16_DISTANCE
    assert sum(row["data"].get("ecvgpo/reshaped_tokens", 0) for row in steps) > 0

    # The report shows the run, and the table in the terminal is that of the report.
    report = (run_dir / "report.html").read_text()
    for expected in ("Reward", "Policy entropy", "Self-information", "Validation IoU", "data:image/png;base64"):
        assert expected in report, expected
    assert "Reward" in demo_run.message
    assert str(run_dir / "report.html") in demo_run.message

    # The checkpoint is a model that transformers loads.
    from transformers import AutoModelForImageTextToText

    actor = run_dir / "checkpoints" / f"global_step_{demo_run.steps}" / "actor"
    AutoModelForImageTextToText.from_pretrained(actor / "huggingface")

    # A third start trains nothing and says so.
    third = subprocess.run(demo_run.command, capture_output=True, text=True, timeout=120, check=True)
    assert "holds a finished run" in third.stdout
