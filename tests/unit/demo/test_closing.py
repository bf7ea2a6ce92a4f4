"""The demo's last lines are what the run logged, and name what it wrote."""

from pathlib import Path

from verl_plugins.demo.closing import closing_lines
from verl_plugins.demo.tasks import TASKS
from verl_plugins.methods import METHODS


def steps(**logged):
    rows = [{"step": 0, "val-aux/shapes_grounding/iou/mean@1": 0.5}]
    for step in range(1, 11):
        rows.append({"step": step, "critic/score/mean": 1.0 + step / 100, "actor/entropy": 0.4, **logged})
    rows[-1]["val-aux/shapes_grounding/iou/mean@1"] = 0.75
    return rows


def lines_of(tmp_path, method, overrides=(), checkpoint=Path("global_step_10"), **logged):
    home = tmp_path / "demo"
    return closing_lines(home, TASKS["grounding"], method, overrides, steps(**logged), home / "report.html", checkpoint)


def test_values_before_and_after_and_the_methods_own_metrics(tmp_path):
    logged = {"ecvgpo/gated_groups": 0.5, "ecvgpo/reshaped_tokens": 0.25, "ecvgpo/floor_hits": 0.1}
    lines = lines_of(tmp_path, "ecvgpo", **logged)
    assert (
        len(lines) <= 12
        and "ecvgpo (algorithm.ecvgpo.r0=-0.2) trained a Qwen2.5-VL" in lines[0]
        and "for 10 steps" in lines[0]
    )
    words = [line.split() for line in lines]
    assert ["Reward", "1.03", "→", "1.08"] in [line[:4] for line in words]
    assert ["Validation", "IoU", "0.5", "→", "0.75"] in [line[:5] for line in words]
    assert ["ecvgpo/gated_groups", "0.5", "share", "of", "prompts:"] in [line[:5] for line in words]
    assert ["ecvgpo/reshaped_tokens", "0.25"] in [line[:2] for line in words]
    assert not any("floor_hits" in line for line in lines)


def test_files_and_the_run_to_compare_with_are_named(tmp_path):
    text = "\n".join(lines_of(tmp_path, "ecvgpo", ["algorithm.ecvgpo.r0=-50", "data.seed=7"]))
    assert "checkpoint  global_step_10" in text
    assert "checkpoint" not in "\n".join(lines_of(tmp_path, "ecvgpo", checkpoint=None))
    assert str(tmp_path / "demo" / "report.html") in text and str(tmp_path / "demo" / "metrics.jsonl") in text
    assert f"--method=grpo --task=grounding --steps=10 --out={tmp_path / 'demo-grpo'} data.seed=7 &&" in text
    assert f"verl-plugins report {tmp_path / 'demo'} {tmp_path / 'demo-grpo'}" in text
    assert "Beside GRPO" not in "\n".join(lines_of(tmp_path, "grpo"))


def test_a_setting_of_the_demo_is_named_unless_the_user_gives_another(tmp_path):
    assert "Shown: ecvgpo trained" in lines_of(tmp_path, "ecvgpo", ["algorithm.ecvgpo.r0=adaptive"])[0]
    assert "Shown: grpo trained" in lines_of(tmp_path, "grpo")[0]
    several = lines_of(tmp_path, "saei", ["algorithm.saei.n1=5"])[0]
    assert "Shown: saei (algorithm.saei.n2=4) trained" in several


def test_what_was_not_logged_is_left_out(tmp_path):
    assert not any("vepo/" in line for line in lines_of(tmp_path, "[ecvgpo,vepo]"))


def test_every_method_names_metrics_in_which_it_acts():
    assert all(method.demo_metrics for method in METHODS.values())
