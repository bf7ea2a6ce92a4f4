"""The last stage of `make gpu`: what it calls a training run that works."""

from __future__ import annotations

import json
import sys

import pytest
from gpu import training, training_run
from gpu.training_run import STEPS, lines_of, train

STEP = {
    "timing_s/step": 9.9,
    "training/rollout_probs_diff_mean": 0.001,
    "saei/log_prob_mismatch_clean": 0.0026,
    "saei/log_prob_mismatch_adversarial": 0.0023,
    "ecvgpo/reshaped_tokens": 0.45,
    "vepo/selected_tokens": 0.205,
    "vepo/jsd_kept": 0.19,
    "vepo/jsd_dropped": 0.01,
    "saei/selective_entropy_clean": 0.00024,
    "saei/selective_entropy_adversarial": 0.00027,
    "actor/perf/max_memory_allocated_gb": 2.1,
}


def failed(metrics):
    return [line.what for line in lines_of(metrics, [200.0, 100.0]) if line.is_ok is False]


def run_of(**changed):
    """Metrics of a run that works, but for those of the last step that are ``changed``."""
    steps = {step: dict(STEP) for step in range(1, STEPS + 2)}
    steps[STEPS + 1].update(changed)
    return steps


def test_a_run_that_works():
    assert failed(run_of()) == []


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("training/rollout_probs_diff_mean", 0.2, "probabilities of the sampled tokens"),
        ("training/rollout_probs_diff_mean", float("nan"), "probabilities of the sampled tokens"),
        ("saei/log_prob_mismatch_clean", 0.06, "log-probabilities, clean images"),
        ("saei/log_prob_mismatch_adversarial", 0.3, "log-probabilities, images that SaEI changed"),
        ("ecvgpo/reshaped_tokens", 0.0, "ECVGPO reshaped tokens"),
        ("vepo/selected_tokens", 1.0, "VEPO's share of tokens"),
        ("vepo/jsd_dropped", 0.2, "VEPO's divergence"),
        ("vepo/jsd_dropped", 0.0, "VEPO's divergence"),
        ("saei/selective_entropy_adversarial", 0.0002, "SaEI's entropy"),
    ],
)
def test_one_step_in_which_something_does_not_work(name, value, what):
    (line,) = failed(run_of(**{name: value}))
    assert line.startswith(what)


def test_a_run_that_was_not_resumed():
    unfinished = run_of()
    del unfinished[STEPS + 1]
    assert failed(unfinished) == ["steps"]


def test_without_vllm_it_says_so_and_does_not_fail(monkeypatch):
    """Also where what the run needs cannot be imported, such as psutil."""
    monkeypatch.setattr(training, "packages_distributions", lambda: {"ray": ["ray"]})
    monkeypatch.setitem(sys.modules, "gpu.training_run", None)
    (line,) = training.measure("cuda")
    assert line.is_ok is None and not line.was_run and line.figure.startswith("vllm not installed; ")


def test_a_start_that_fails_leaves_its_last_line_and_the_steps_it_trained(tmp_path, monkeypatch):
    code = (
        "import json, os, pathlib, sys;"
        "folder = pathlib.Path(sys.argv[1]) / 'attempts'; folder.mkdir(exist_ok=True);"
        f"(folder / '000.jsonl').write_text(json.dumps({{'step': 1, 'data': {json.dumps(STEP)}}}) + chr(10));"
        "print('CUDA error: no kernel image'); sys.exit(1)"
    )
    monkeypatch.setattr(training_run, "ensure_demo_assets", lambda *_: (tmp_path / "model", tmp_path / "data"))
    monkeypatch.setattr(
        training_run, "training_command", lambda _, __, run, *rest: [sys.executable, "-c", code, str(run)]
    )
    lines = list(train(tmp_path, "cuda", has_flash_attn=False))
    assert lines[0].is_ok is False and lines[0].figure == "CUDA error: no kernel image"
    assert [line.what for line in lines if line.is_ok is False] == [f"training to step {STEPS}", "steps"]
