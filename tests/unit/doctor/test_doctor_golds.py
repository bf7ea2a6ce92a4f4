"""The doctor on golds, box scales and GPUs: what is certainly wrong fails, what cannot be known is only told."""

from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from data_prep.synthetic.shapes import make_row
from verl_plugins.compose import compose_run
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_tiny_vlm
from verl_plugins.doctor import machine
from verl_plugins.doctor.overrides import check_rows

KEY = "reward.custom_reward_function"
KWARGS = f"{KEY}.reward_kwargs"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    build_tiny_vlm(path, TASKS["grounding"])  # of Qwen2.5-VL's family; images keep their size of 112 x 112 pixels
    return path


@pytest.fixture
def told(model, tmp_path):
    """Write rows whose golds are given, and return the doctor's lines on them that are not ok."""

    def run(golds, *overrides, **columns):
        rows = [{**make_row(number, "train", 0), **columns} for number in range(len(golds))]
        for row, gold in zip(rows, golds, strict=True):
            if gold is not None:
                row["reward_model"] = {"style": "rule", "ground_truth": gold}
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
        files = [f"data.train_files={tmp_path / 'rows.parquet'}", "data.val_files=hdfs://elsewhere/val.parquet"]
        run = ["+method=grpo", "+platform=cpu", f"actor_rollout_ref.model.path={model}", *files, *overrides]
        return [check for check in check_rows(compose_run(run)) if not check.line.startswith("data.train_files")
                or check.level != "ok"]  # fmt: skip

    return run


def test_golds_that_earn_full_marks_are_not_told(told):
    assert told([None] * 3, f"{KEY}.path=pkg://reward_fns.auto") == []
    boxes = ["[0, 0, 10, 10]", "[[0, 0, 10, 10], [20, 20, 30, 30]]", "[]"]
    assert told(boxes, f"{KEY}.path=pkg://reward_fns.grounding") == []
    answers = ["42", "\\frac{1}{2}", "B"]
    assert told(answers, f"{KEY}.path=pkg://reward_fns.math", f"+{KWARGS}.form=boxed", data_source="mine") == []
    route = f"+{KWARGS}.routes.mine=math"
    assert told(answers, f"{KEY}.path=pkg://reward_fns.auto", route, data_source="mine") == []
    assert told(["red", "Two"], f"{KEY}.path=pkg://reward_fns.boxed") == []


@pytest.mark.parametrize(
    ("reward", "golds", "row", "gold", "status"),
    [
        ("grounding", ["[0, 0, 9, 9]", "a red circle"], 1, "'a red circle'", "bad_gold"),
        ("grounding", ["[5, 5, 5, 5]"], 0, "'[5, 5, 5, 5]'", "bad_gold"),
        ("auto", [None, None, "[1, 2, 3]"], 2, "'[1, 2, 3]'", "bad_gold"),
        ("math", ["3", ""], 1, "''", "no_answer"),
        ("boxed", ["red", " "], 1, "' '", "bad_gold"),
    ],
)
def test_a_wrong_gold_is_named_with_file_row_and_status(told, tmp_path, reward, golds, row, gold, status):
    (check,) = told(golds, f"{KEY}.path=pkg://reward_fns.{reward}")
    assert check.failed
    place = f"data.train_files {tmp_path / 'rows.parquet'}: got 1 rows, the first row {row} ({gold}): "
    assert check.line.startswith(f"{place}a perfect response with the gold gets the status {status}, not full marks")


def test_a_box_without_the_size_that_its_space_needs_is_told(told):
    space = [f"{KEY}.path=pkg://reward_fns.grounding", f"+{KWARGS}.box_space=0-1000"]
    checks = told([None], *space, extra_info={"index": 0})
    assert any(check.failed and "status error (extra_info: got orig_w=None" in check.line for check in checks)


def processed(**limits):
    settings = ",".join(f"{name}:{value}" for name, value in limits.items())
    return [f"{KEY}.path=pkg://reward_fns.grounding", f"+{KWARGS}={{box_space:processed,{settings}}}"]


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        ({"patch_size": 14}, None),  # the processor's 784 to 50,176 pixels leave 112 x 112 as they are
        ({"patch_size": 14, "min_pixels": 784, "max_pixels": 50176}, None),
        ({"patch_size": 16}, "128 x 128"),  # of 32 pixels, 112 is 3.5
        ({"patch_size": 14, "max_pixels": 3136}, "56 x 56"),
        ({"patch_size": 14, "min_pixels": 28224}, "168 x 168"),
    ],
)
def test_a_size_other_than_the_models_would_scale_the_boxes_wrongly(told, limits, size):
    checks = told([None] * 2, *processed(**limits))
    if size is None:
        assert checks == []
        return
    (check,) = checks
    assert (
        check.failed and f"got 2 rows, the first row 0 ({size} in place of 112 x 112 pixels): the reward" in check.line
    )
    limits = "patch_size:14,merge_size:2,min_pixels:784,max_pixels:50176"
    assert check.line.endswith(f"set the processor's {limits} in {KWARGS}")


def test_a_box_space_of_another_family_is_told_and_does_not_fail(told):
    path = f"{KEY}.path=pkg://reward_fns.grounding"
    (check,) = told([None], path, f"+{KWARGS}.box_space=0-1000")
    assert check.level == "warn" and "box_space is 0-1000, and qwen2_5_vl was trained to write boxes in processed" in (
        check.line
    )
    assert told([None], path, f"+{KWARGS}.box_space=pixels") == []  # the same: the image keeps its size
    info = {"orig_w": 100, "orig_h": 100, "index": 0}
    (check,) = told([None], path, f"+{KWARGS}.box_space=pixels", extra_info=info)
    assert check.level == "warn" and "box_space is pixels" in check.line


def test_another_reward_is_tried_and_never_fails(told, tmp_path):
    def line(text, golds=("1", "2")):
        (tmp_path / "mine.py").write_text(
            f"def compute_score(data_source, solution_str, ground_truth, extra_info):\n{text}\n"
        )
        (check,) = told(list(golds), f"{KEY}.path={tmp_path / 'mine.py'}")
        assert not check.failed and check.line.startswith(f"reward {tmp_path / 'mine.py'}, compute_score: ")
        return check

    good = line("    return {'score': 2.0 * (f'<answer>{ground_truth}</answer>' in solution_str)}")
    assert good.level == "ok" and good.line.endswith("free: all get 2")
    uneven = line("    return float(ground_truth == '1' and '1' in solution_str)")
    assert uneven.level == "warn" and uneven.line.endswith("1 of 2 golds get less than 1, e.g. '2' 0")
    assert line("    return 0.0").line.endswith("none gets more than 0, e.g. '1' 0")
    assert line("    return 1 / 0").line.endswith("every one raised ZeroDivisionError: division by zero")
    assert line("    return float(extra_info['num_turns'] == 2)").line.endswith("all get 1")  # verl adds it


def test_an_asynchronous_reward_is_not_called(told, tmp_path):
    (tmp_path / "judge.py").write_text("async def compute_score(**kwargs):\n    raise SystemExit('called')\n")
    (check,) = told(["1"], f"{KEY}.path={tmp_path / 'judge.py'}")
    assert check.level == "ok" and check.line.endswith("compute_score: asynchronous, and so not tried on golds")


def test_a_reward_that_cannot_be_imported_fails(told, tmp_path):
    (tmp_path / "mine.py").write_text("import nothing_there\ndef compute_score(**kwargs):\n    return 0\n")
    (check,) = told(["1"], f"{KEY}.path={tmp_path / 'mine.py'}")
    assert check.failed and check.line.startswith("reward: got ModuleNotFoundError: No module named 'nothing_there'")


def test_verls_own_reward_knows_its_own_sources_alone(told):
    assert [check.line[-9:] for check in told(["3"], data_source="hiyouga/geometry3k")] == ["all get 1"]
    (check,) = told(["3"], data_source="mine")
    assert check.failed and "verl's own reward ends the run (Reward function is not implemented for" in check.line
    assert check.line.endswith(f"set {KEY}.path=pkg://reward_fns.auto, or to a reward of your own")


@pytest.fixture
def cards(monkeypatch, tmp_path):
    """Pretend to have so many GPUs, and a driver of NVIDIA."""

    def pretend(count, driver):
        file = tmp_path / "version"
        if driver:
            file.write_text(
                f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {driver}  Release Build\nGCC 13\n"
            )
        monkeypatch.setattr(machine, "_DRIVER_FILE", file)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "NVIDIA H100")
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)

    return pretend


def test_gpus_are_compared_with_what_is_asked_for(cards, monkeypatch):
    cards(8, "580.95.05")
    assert str(machine.check_gpus(8)) == "ok    GPUs: 8 x NVIDIA H100, driver 580.95.05, torch for CUDA 13.0"
    assert machine.check_gpus().level == "ok"
    cards(1, "580.95.05")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    check = machine.check_gpus(8)
    assert check.failed and "torch for CUDA 13.0 (CUDA_VISIBLE_DEVICES=0), expected 8 (trainer.n_gpus" in check.line
    cards(8, "570.10")
    check = machine.check_gpus(8)
    assert check.failed and "driver 570.10, torch for CUDA 13.0, expected driver 580 or newer" in check.line
    assert machine.check_gpus().level == "warn"


def test_a_machine_without_gpus_fails_alone_and_not_in_a_cluster(cards, monkeypatch):
    def level(nodes=1, device="cuda", ray=None, address=None):
        monkeypatch.setenv("RAY_ADDRESS", ray) if ray else monkeypatch.delenv("RAY_ADDRESS", raising=False)
        config = {"trainer": {"nnodes": nodes, "n_gpus_per_node": 8, "device": device}}
        config["ray_kwargs"] = {"ray_init": {"address": address}}
        return [check.level for check in machine.check_gpus_of_run(machine.OmegaConf.create(config))]

    cards(0, None)
    assert level() == ["FAIL"]
    assert level(address="local") == ["FAIL"]
    assert level(nodes=2) == level(ray="10.0.0.1:6379") == level(address="auto") == ["warn"]
    assert level(device="cpu") == []
    assert "GPUs: none" in machine.check_gpus().line


def test_the_option_gpus_is_a_check_of_the_machine(monkeypatch, capsys, cards):
    from verl_plugins.doctor import run_doctor

    cards(4, "580.95.05")
    monkeypatch.setattr("verl_plugins.doctor.versions.check_versions", lambda with_flash_attn: [])
    monkeypatch.setattr("verl_plugins.doctor.registered_names.check_driver", lambda: [])
    code = run_doctor.run(SimpleNamespace(overrides=[], no_ray=True, gpus=8))
    assert code == 1 and "FAIL  GPUs: got 4 x NVIDIA H100, driver 580.95.05" in capsys.readouterr().out
    assert run_doctor.run(SimpleNamespace(overrides=[], no_ray=True, gpus=4)) == 0
