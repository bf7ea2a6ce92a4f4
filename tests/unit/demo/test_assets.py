"""The demo's starting models are those that the package records, and its data are made once."""

import json

import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from verl_plugins.demo import assets
from verl_plugins.demo.assets import FACTS, STARTS, ensure_demo_assets, wrong_files
from verl_plugins.demo.tasks import TASKS

FEW = {"train": 3, "val": 2}


@pytest.mark.parametrize("name", TASKS)
def test_a_start_is_small_whole_and_good_enough_to_learn_from(name):
    start = STARTS / name
    assert wrong_files(start) == []
    assert sum(path.stat().st_size for path in start.iterdir()) < 10e6
    with safe_open(start / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(key).get_dtype() for key in weights.keys()} == {"F16"}  # noqa: SIM118
    quality = json.loads((start / FACTS).read_text())["quality"]
    assert quality["sampled_format"] > 0.9
    if name == "grounding":  # ECVGPO's gate has work at the paper's delta, and boxes are nearly right
        assert 0.3 < quality["gated"] < 0.7 and quality["sampled_quantiles"][1] > 0.5
    else:  # neither too easy nor too hard, and some questions are hardly ever answered right
        assert 0.3 < quality["sampled"] < 0.5 and quality["rarely_right"] > 0.1
        assert 60 < quality["response_length"] < 120


def test_data_are_made_once_and_only_with_the_rows_that_are_asked_for(tmp_path):
    start, data = ensure_demo_assets(tmp_path, TASKS["reasoning"], FEW)
    assert start == STARTS / "reasoning"
    assert {path.stem: pq.read_metadata(path).num_rows for path in data.iterdir()} == FEW
    (data / "kept").touch()
    assert ensure_demo_assets(tmp_path, TASKS["reasoning"], FEW)[1] == data and (data / "kept").exists()
    other = ensure_demo_assets(tmp_path, TASKS["reasoning"], {**FEW, "ood": 1})[1]
    assert other != data and (other / "ood.parquet").is_file()


def test_an_interrupted_call_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(assets, "_publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_demo_assets(tmp_path, TASKS["reasoning"], FEW)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_start_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "STARTS", tmp_path)
    (tmp_path / "grounding").mkdir()
    with pytest.raises(SystemExit, match=r"start\.json"):
        ensure_demo_assets(tmp_path, TASKS["grounding"], FEW)
    (tmp_path / "grounding" / FACTS).write_text(json.dumps({"sha256": {"model.safetensors": "0"}}))
    with pytest.raises(SystemExit, match=r"got missing or changed files \(model\.safetensors\)"):
        ensure_demo_assets(tmp_path, TASKS["grounding"], FEW)
