"""A frozen vision tower: the same weights after updates, no optimizer state, saved and sent like the rest."""

from __future__ import annotations

import json

import gloo_engine_process
import pytest
import tiny_families
import torch
from torch import nn
from transformers import AutoModelForImageTextToText


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    gloo_engine_process.run("frozen_vision_run.py", folder)
    return json.loads((folder / "report.json").read_text())


@pytest.mark.slow  # trains in processes of its own
def test_the_towers_weights_stay_bit_for_bit_and_all_others_move(report):
    assert report["frozen"]["tower"]
    assert sorted(report["frozen"]["changed"]) == sorted(report["frozen"]["others"])
    assert set(report["trained"]["tower"]) <= set(report["trained"]["changed"])


@pytest.mark.slow  # trains in processes of its own
def test_the_optimizer_holds_nothing_for_it(report):
    frozen, trained = report["frozen"], report["trained"]
    assert frozen["states"] == trained["states"] - len(frozen["tower"])
    steps = 4 * len(frozen["tower"])  # Adam's count of steps, a float for each tensor
    assert trained["state_bytes"] - frozen["state_bytes"] == 8 * frozen["numbers"] + steps


@pytest.mark.slow  # trains in processes of its own
def test_a_checkpoint_holds_it_and_a_resumed_run_goes_on_the_same(report):
    assert report["frozen"]["loaded"] and report["frozen"]["resumed"]


@pytest.mark.parametrize("family", tiny_families.FAMILIES)
def test_the_tower_of_each_family_is_all_that_comes_before_the_language_model(family):
    from verl_plugins.training.frozen_vision import vision_tower

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(tiny_families.FAMILIES[family]()[0])
    tower = set(vision_tower(model).parameters())
    others = {name for name, parameter in model.named_parameters() if parameter not in tower}
    parts = ("model.language_model.", "lm_head.", "model.multi_modal_projector.")  # the last is InternVL's, and trained
    assert tower and all(name.startswith(parts) for name in others)


def test_a_model_without_a_tower_is_refused():
    from verl_plugins.training.frozen_vision import vision_tower

    with pytest.raises(
        ValueError, match=r"got Linear without a module named visual or vision_tower.*freeze_vision_tower"
    ):
        vision_tower(nn.Linear(1, 1))


def test_the_worker_takes_the_engine_that_the_config_asks_for(monkeypatch):
    from omegaconf import OmegaConf
    from verl.workers.engine_workers import ActorRolloutRefWorker

    from verl_plugins.training import worker

    monkeypatch.setattr(ActorRolloutRefWorker, "__init__", lambda self, config, role: None)
    for freeze, expected in ((True, worker.FrozenVisionTrainingWorker), (False, worker.EntropyTrainingWorker)):
        config = OmegaConf.create({"actor": {"freeze_vision_tower": freeze}})
        made = worker.EntropyWorker(config, "actor_rollout")
        assert made.actor_worker_cls is expected
        assert made.ref_worker_cls is worker.EntropyTrainingWorker


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "actor_rollout_ref.actor.strategy=fsdp",
            "actor.strategy: got fsdp, expected fsdp2 (the vision tower is frozen",
        ),
        ("actor_rollout_ref.model.lora_rank=8", "model.lora_rank: got 8, expected 0 with freeze_vision_tower"),
    ],
)
def test_what_cannot_freeze_is_refused(override, message):
    from verl_plugins.compose import compose_run
    from verl_plugins.preflight import check_run

    run = ["+method=grpo", "actor_rollout_ref.rollout.n=2", "actor_rollout_ref.actor.strategy=fsdp2"]
    result = check_run(compose_run([*run, "actor_rollout_ref.actor.freeze_vision_tower=true", override]))
    assert any(message in problem for problem in result), result
