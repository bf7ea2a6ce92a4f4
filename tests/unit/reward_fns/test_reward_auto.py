"""The reward for mixed data, the reward files as verl loads them, and the metrics of rewards."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.datasets import DATA_SETS
from reward_fns import auto
from reward_fns.settings import reported
from verl_plugins.training.step_metrics import FAILURES, reward_metrics

ROOT = Path(__file__).parents[3]
KEYS = ["score", "accuracy", "format", "iou", "status"]
BOX, BOXED, TAGGED = "<answer>[0, 0, 10, 10]</answer>", "<think>so</think> \\boxed{%s}", "<answer>12</answer>"


@pytest.mark.parametrize(
    ("data_source", "response", "gold", "score", "iou"),
    [
        ("shapes_grounding", BOX, "[0, 0, 10, 10]", 1.5, 1.0),
        ("refcoco", BOX, "[0, 0, 10, 5]", 1.0, 0.5),
        ("refcoco+", BOX, "[0, 0, 10, 10]", 1.5, 1.0),
        ("refcocog_umd", BOX, "[0, 0, 10, 10]", 1.5, 1.0),
        ("lmms-lab/RefCOCO", BOX, "[0, 0, 10, 10]", 1.5, 1.0),
        ("LISA-Grounding", BOX, "[0, 0, 10, 10]", 1.5, 1.0),
        ("shapes_reasoning", BOXED % "red", "red", 1.0, 0.0),
        ("hiyouga/geometry3k", BOXED % "\\frac{1}{2}", "0.5", 1.0, 0.0),
        ("MMK12", BOXED % "13", "12", 0.1, 0.0),
        ("mm-eureka", BOXED % "12 cm", "12", 1.0, 0.0),
        ("math/birds", BOXED % "13", "12", 0.1, 0.0),
        ("math/refcoco_counts", BOXED % "12", "12", 1.0, 0.0),  # the name says its reward
        ("grounding/geometry3k", BOX, "[0, 0, 10, 10]", 1.5, 1.0),
        ("boxed/birds", BOXED % "red", "red", 1.0, 0.0),
    ],
)
def test_each_data_source_goes_to_its_reward_and_all_return_the_same_keys(data_source, response, gold, score, iou):
    result = auto.compute_score(data_source, response, gold)
    assert list(result) == KEYS
    assert (result["score"], result["iou"], result["status"]) == (pytest.approx(score), iou, "ok")


def test_settings_stand_under_the_name_of_the_reward():
    settings = {"grounding": {"format_weight": 1.0}, "math": {"preset": "mm_eureka"}}
    assert auto.compute_score("refcoco", BOX, "[0, 0, 10, 10]", **settings)["score"] == 2.0
    assert auto.compute_score("mmk12", TAGGED, "12", **settings)["score"] == 1.0  # no think block
    assert auto.compute_score("shapes_reasoning", BOXED % "red", "red", **settings)["score"] == 1.0


def test_routes_name_further_data_and_the_longest_beginning_decides():
    assert auto.compute_score("mine_v2", BOXED % "12", "12", routes={"mine": "math"})["score"] == 1.0
    assert auto.compute_score("refcoco_count", BOXED % "12", "12", routes={"refcoco_count": "math"})["score"] == 1.0
    assert auto.reward_of("math/birds", {"birds": "boxed"}) == "boxed"


@pytest.mark.parametrize(
    ("data_source", "settings", "named"),
    [
        ("coco", {}, "reward_kwargs.routes"),
        ("my_refcoco", {}, "my_refcoco"),
        ("maths/birds", {}, "maths/birds"),
        ("math", {}, "'math'"),
        (None, {}, "got None"),
        ("refcoco", {"routes": {"refcoco": "boxes"}}, "grounding"),
        ("refcoco", {"grouding": {}}, "grouding"),
    ],
)
def test_what_cannot_be_routed_is_an_error_and_one_message(data_source, settings, named, caplog):
    reported.clear()
    for _ in range(3):
        result = auto.compute_score(data_source, BOX, "[0, 0, 10, 10]", **settings)
        assert result == {"score": 0.0, "accuracy": 0.0, "format": 0.0, "iou": 0.0, "status": "error"}
    assert len(caplog.records) == 1 and named in caplog.text


VERLS_OWN = {"reward_router_address": None, "reward_model_tokenizer": None, "extra_info": {"num_turns": 1}}


@pytest.mark.parametrize(
    ("file", "data_source", "response", "gold"),
    [
        ("grounding", "refcoco", BOX, "[0, 0, 10, 10]"),
        ("math", "mmk12", BOXED % "2\\sqrt{3}", "\\sqrt{12}"),
        ("boxed", "shapes_reasoning", BOXED % "red", "red"),
        ("auto", "mmk12", BOXED % "12", "12"),
    ],
)
def test_verl_loads_the_file_by_path_without_entering_sys_modules(file, data_source, response, gold):
    spec = importlib.util.spec_from_file_location("reward_loaded_by_path", ROOT / "reward_fns" / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "reward_loaded_by_path" not in sys.modules
    assert module.compute_score(data_source, response, gold, **VERLS_OWN)["accuracy"] == 1.0


def test_the_standard_math_stays_what_it_is():
    import math

    assert "sqrt" in dir(math)


def test_rewards_import_the_algebra_only_where_it_is_done():
    code = "import sys, reward_fns.auto; print(sorted({'sympy', 'math_verify', 'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_failures_are_counted_by_data_source():
    infos = [{"status": s} for s in ("ok", "bad_gold", "bad_gold", "timeout", "ok", "no_answer")] + [{}, {"acc": 1.0}]
    sources = ["mmk12", "mmk12", "mmk12", "mmk12", "refcoco", "refcoco", "mmk12", "foreign"]
    counted = reward_metrics(infos, sources)
    assert {name: count for name, count in counted.items() if count} == {
        "reward/mmk12/bad_gold": 2,
        "reward/mmk12/timeout": 1,
        "reward/refcoco/no_answer": 1,
    }
    assert set(counted) == {f"reward/{source}/{status}" for source in ("mmk12", "refcoco") for status in FAILURES}


def test_accuracy_is_told_by_data_source():
    infos = [{"status": "ok", "accuracy": np.float32(1)}, {"status": "no_answer", "accuracy": 0.0}, {"status": "ok"}]
    infos += [{"status": "ok", "accuracy": None}, {"status": "ok", "accuracy": 1.0}]
    metrics = reward_metrics(infos, ["mmk12", "mmk12", "refcoco", "foreign", "foreign"])
    assert metrics["reward/mmk12/accuracy"] == 0.5
    assert not {"reward/refcoco/accuracy", "reward/foreign/accuracy"} & set(metrics)


@pytest.mark.parametrize("data_set", DATA_SETS.values(), ids=lambda data_set: data_set.name)
def test_every_data_set_that_is_converted_has_its_reward(data_set):
    assert auto.reward_of(data_set.name) == data_set.ability


@pytest.mark.parametrize("reward", [auto, *auto.REWARDS.values()])
def test_a_failure_that_nobody_foresaw_is_an_error_and_told_with_its_line(reward, monkeypatch, caplog):
    def broken(*_):
        return 1 // 0

    reported.clear()
    for target in ("settle", "reward_of") if reward is auto else ("settings_of",):
        monkeypatch.setattr(reward, target, broken)
    for _ in range(2):
        result = reward.compute_score("geometry3k", "12", "12")
        assert result["status"] == "error" and result["score"] == 0.0
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text and "test_reward_auto.py:" in caplog.text
