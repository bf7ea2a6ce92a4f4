"""Engines that inherit verl's FSDP engine run requests, too, with the inputs that they prepare in their own way."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import verl.workers.engine
from tiny_engine import build_engine, micro_batch
from verl.utils import tensordict_utils as tu
from verl.workers.config import TrainingWorkerConfig
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead
from verl.workers.engine_workers import TrainingWorker

from verl_plugins import register
from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.methods.run_checks import FSDP_STRATEGIES
from verl_plugins.training import ENGINE, frozen_vision
from verl_plugins.training.worker import EntropyTrainingWorker


class Heir(FSDPEngineWithLMHead):
    """Darkens every image while it prepares the inputs, as others cut them or add masks."""

    def prepare_model_inputs(self, micro_batch):
        model_inputs, output_args = super().prepare_model_inputs(micro_batch)
        return {**model_inputs, "pixel_values": 0.5 * model_inputs["pixel_values"]}, output_args


@pytest.fixture
def heir(monkeypatch):
    """The class that a worker gets where a run selects the heir."""
    engines = {"language_model": {"fsdp2": {"cuda": FSDPEngineWithLMHead}, "heir": {"cuda": Heir}}}
    monkeypatch.setattr(EngineRegistry, "_engines", engines)
    register._register_engines(frozen_vision)
    return engines[ENGINE]["heir"]["cuda"]


def test_an_heir_computes_the_request_on_the_inputs_that_it_prepares(heir, monkeypatch):
    for name in ("training.engine", "components.counterfactual"):
        monkeypatch.setattr(sys.modules[f"verl_plugins.{name}"], "get_device_id", lambda: "cpu")
    engine = build_engine()
    data, _, samples = micro_batch(engine.model_config.processor, [1, 1], [5, 7])
    request = Counterfactual(kind="zero", strength=1.0, seed=3, step=5)
    tu.assign_non_tensor(data, verl_plugins_request=request)

    def run(images):
        batch = data.copy()
        tu.assign_non_tensor_stack(batch, "multi_modal_inputs", images)
        with torch.no_grad():
            return engine.forward_step(batch, None, forward_only=True)[1]["model_output"]

    # zero is the mean of the processor's pixels, which half of it is as well
    expected = run([{**sample, "pixel_values": 0.5 * sample["pixel_values"]} for sample in samples])
    unprepared = run(samples)
    engine.__class__ = heir
    got = run(samples)
    for name, values in got.items():
        assert torch.equal(values.values(), expected[name].values()), name
    assert not torch.equal(got["jsd"].values(), unprepared["jsd"].values())


def test_a_worker_takes_the_twin_of_each_engine_that_has_one(heir, monkeypatch):
    made = []
    monkeypatch.setattr(TrainingWorker, "__init__", lambda self, config: made.append(config.model_type))
    for strategy in ("heir", "fsdp2", "megatron"):
        EntropyTrainingWorker(_config(strategy))
    assert made == [ENGINE, ENGINE, "language_model"]
    assert issubclass(heir, Heir)


def _config(strategy):
    return TrainingWorkerConfig(
        model_type="language_model", model_config=None, engine_config=SimpleNamespace(strategy=strategy)
    )


def test_the_checks_know_every_heir_of_verl():
    """From verl's sources, because most heirs cannot be imported without their packages."""
    strategies = set()
    for path in Path(verl.workers.engine.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and "FSDPEngineWithLMHead" in (node.name, *map(ast.unparse, node.bases)):
                for decorator in node.decorator_list:
                    named = {each.arg: ast.literal_eval(each.value) for each in decorator.keywords}
                    backend = named["backend"]
                    strategies.update([backend] if isinstance(backend, str) else backend)
    assert strategies == set(FSDP_STRATEGIES)
