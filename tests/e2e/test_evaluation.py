"""The evaluation with real vLLM, against what verl's validation said about the same model and rows."""

import json
import subprocess
import sys
from statistics import fmean

import pytest
from two_nodes import two_nodes

from verl_plugins.training.step_metrics import FAILURES

pytestmark = pytest.mark.slow


def evaluate(model, data, out, *options):
    command = [sys.executable, "-m", "verl_plugins.evaluate", f"--model={model}", f"--data={data}", f"--out={out}"]
    command += ["--max-response-length=32", "--batch-size=24", "--reward", "grounding.box_space=pixels", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()], done.stdout


def test_before_training_it_says_what_the_validation_says_and_after_it_takes_the_checkpoint(
    demo_run, demo_assets, tmp_path
):
    model, data = demo_assets[0], demo_assets[1] / "val.parquet"
    run_dir = demo_run.run_dir
    metrics = [json.loads(line)["data"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    checkpoint = run_dir / "checkpoints" / f"global_step_{demo_run.steps}" / "actor"

    counted = [
        metrics[step][f"reward/shapes_grounding/{status}"] for step in (1, demo_run.steps) for status in FAILURES
    ]
    assert all(0 <= count <= 64 for count in counted)

    lines, message = evaluate(model, data, tmp_path / "before")
    validation = [json.loads(line) for line in (run_dir / "validation" / "0.jsonl").read_text().splitlines()]
    assert len(lines) == len(validation) == 64
    for line in lines:  # no two rows share question and answer
        (verls,) = [each for each in validation if line["question"] in each["input"] and each["gts"] == line["gold"]]
        assert line["response"] == verls["output"]
        for key in ("score", "accuracy", "format", "iou", "status"):
            assert line[key] == verls[key], key
    summary = json.loads((tmp_path / "before" / "summary.json").read_text())["grounding"]["shapes_grounding val"]
    for ours, verls in (("iou", "iou"), ("accuracy", "accuracy"), ("score", "reward")):
        keys = [key for key in metrics[0] if key.endswith(f"shapes_grounding/{verls}/mean@1")]
        assert [metrics[0][key] for key in keys] == [pytest.approx(summary[ours]["value"], abs=1e-6)], keys
    assert summary["iou"]["value"] == pytest.approx(fmean(line["iou"] for line in lines))
    assert f"{summary['iou']['value']:.4f}" in message and "IoU > 0.5" in message

    # The same again asks nothing, and says the same.
    assert "64 rows, 64 of them done before" in evaluate(model, data, tmp_path / "before")[1]

    # Two copies of the model on two Ray nodes give the same bytes.
    with two_nodes():
        evaluate(model, data, tmp_path / "two_copies", "--data-parallel=2", "--ray-address=auto")
    results = [(tmp_path / out / "results.jsonl").read_bytes() for out in ("before", "two_copies")]
    assert results[0] == results[1]

    # The same model on images that its own gradient attacks: vLLM, transformers, and vLLM again.
    attacked, _ = evaluate(model, data, tmp_path / "attacked", "--attack=saei", "--strength=8", "--limit=16")
    attack = json.loads((tmp_path / "attacked" / "summary.json").read_text())["attack"]
    assert attack["rows"] == len(attacked) == 16
    assert 7 < attack["pixel_change"] <= 8
    assert attack["entropy_after"] > attack["entropy_before"]

    # After training, by the checkpoint's folder; then both side by side.
    after, _ = evaluate(checkpoint, data, tmp_path / "after")
    assert [(line["file"], line["row"]) for line in after] == [(line["file"], line["row"]) for line in lines]
    command = [
        sys.executable,
        "-m",
        "verl_plugins.evaluate",
        "compare",
        str(tmp_path / "before"),
        str(tmp_path / "after"),
    ]
    compared = subprocess.run([*command, f"--out={tmp_path / 'both'}"], capture_output=True, text=True, check=True)
    assert "64 rows in both" in compared.stdout and "McNemar" in compared.stdout
    outcome = json.loads((tmp_path / "both" / "comparison.json").read_text())["groups"]["shapes_grounding"]
    assert outcome["iou"]["b"] == pytest.approx(fmean(line["iou"] for line in after))
    assert (tmp_path / "both" / "comparison.html").read_text().startswith("<!doctype html>")
