"""A run with ``actor_rollout_ref.model.use_fused_kernels=true``: verl replaces the forward of the model's class."""

from __future__ import annotations

import sys
from functools import partial

import pytest
import tiny_families
import torch
from bare_engine import bare_engine
from peft import LoraConfig, get_peft_model
from tiny_engine import micro_batch
from transformers import AutoModelForImageTextToText
from verl.utils import tensordict_utils as tu
from verl_forwards import patch_as_verl_does

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.components.hidden_states import prepare_inputs, unfused_forward
from verl_plugins.components.requests import REQUEST
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import PIXELS, STATISTICS

FUSED = {"use_remove_padding": False, "use_fused_kernels": True}
BACKENDS = ["torch", "triton"]
TEMPERATURE = 0.7


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    ours = ("training.engine", "components.counterfactual", "methods.saei.attack", "methods.saei.attacked_images")
    for name in (*(f"verl_plugins.{name}" for name in ours), "verl.workers.engine.fsdp.transformer_impl"):
        monkeypatch.setattr(sys.modules[name], "get_device_id", lambda: "cpu")
    for name in ("verl_plugins.components.hidden_states", "verl.workers.engine.fsdp.transformer_impl"):
        monkeypatch.setattr(sys.modules[name], "get_device_name", lambda: "cpu")


def build(family, dtype=torch.float32):
    config, processor = tiny_families.FAMILIES[family]()
    torch.manual_seed(0)
    engine = bare_engine(AutoModelForImageTextToText.from_config(config, dtype=dtype).eval(), processor, 2)
    engine._autocast_dtype = dtype
    return engine


def run(engine, request=None, fused=False, temperature=TEMPERATURE):
    """Return the tensors that the engine computes of four rows, by name."""
    data, _, _ = micro_batch(engine.model_config.processor, [1] * 4, [5, 9, 4, 6], temperature)
    tu.assign_non_tensor(data, use_fused_kernels=fused, calculate_entropy=True)
    if request is not None:
        tu.assign_non_tensor(data, **{REQUEST: request})
    with torch.no_grad():
        if isinstance(request, AttackRequest):
            output = engine.forward_backward_batch(data, None, forward_only=True)["model_output"]
            return {"pixels": output[PIXELS].values(), "statistics": output[STATISTICS]}
        _, output = engine.forward_step(data, None, forward_only=True)
    return {name: nested.values() for name, nested in output["model_output"].items()}


@pytest.mark.parametrize("request_", [Counterfactual("gaussian", 2.0, 3, 5), AttackRequest(SaEIConfig(), 3, 5)])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("family", "lora"), [("qwen2_5_vl", False), ("qwen3_vl", False), ("qwen2_5_vl", True)])
def test_our_forwards_are_those_of_an_unfused_run_to_the_last_bit(monkeypatch, family, lora, backend, request_):
    engine = build(family)
    model = engine.module
    patch_as_verl_does(monkeypatch, model, use_remove_padding=False)
    if lora:
        engine.module = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    unfused = run(engine, request_)
    patch_as_verl_does(monkeypatch, model, fused_kernels_backend=backend, **FUSED)
    fused = run(engine, request_, fused=True)
    assert all(torch.equal(fused[name], unfused[name]) for name in unfused)
    assert any(values.any() for values in unfused.values())
    assert type(model).forward.__name__ == f"forward_with_{backend}_backend" and "forward" not in vars(model)


@pytest.mark.parametrize(
    ("dtype", "temperature", "difference"),
    [
        (torch.float32, 0.7, 1e-5),
        (torch.bfloat16, 1.0, 1e-5),
        (torch.bfloat16, 0.7, 0.03),  # nats: the unfused forward rounds the temperature to bfloat16, the fused does not
    ],
)
def test_the_fused_log_probabilities_are_ours_but_for_the_rounded_temperature(
    monkeypatch, dtype, temperature, difference
):
    engine = build("qwen2_5_vl", dtype)
    patch_as_verl_does(monkeypatch, engine.module, fused_kernels_backend="torch", **FUSED)
    ours = run(engine, Counterfactual("gaussian", 2.0, 3, 5), fused=True, temperature=temperature)["log_probs"]
    theirs = run(engine, fused=True, temperature=temperature)["log_probs"]
    of_responses = ours != 0  # verl computes every token's
    assert of_responses.sum() == 24
    torch.testing.assert_close(ours[of_responses], theirs[of_responses], rtol=0, atol=difference)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_without_an_unfused_forward_is_refused_by_its_name(monkeypatch, backend):
    engine = build("internvl3")
    patch_as_verl_does(monkeypatch, engine.module, fused_kernels_backend=backend, **FUSED)
    message = "use_fused_kernels: got true for InternVLForConditionalGeneration, expected false"
    with pytest.raises(ValueError, match=message), unfused_forward(engine.module):
        pass


def test_verls_fused_forward_of_internvl_ignores_the_image(monkeypatch):
    """The reason why the preflight refuses it; when this fails, the refusal can go."""
    engine = build("internvl3")
    patch_as_verl_does(monkeypatch, engine.module, fused_kernels_backend="torch", **FUSED)
    data, _, samples = micro_batch(engine.model_config.processor, [1], [5])
    inputs = {"input_ids": data["input_ids"].to_padded_tensor(0), "return_dict": True}
    images = samples[0]["pixel_values"], -samples[0]["pixel_values"]
    with torch.no_grad():
        seen, other = (engine.module(**inputs, pixel_values=image).log_probs for image in images)
    assert torch.equal(seen, other)


def test_preparing_the_inputs_leaves_the_micro_batch_as_it_was():
    engine = build("qwen2_5_vl")
    data, _, _ = micro_batch(engine.model_config.processor, [1], [5])
    tu.assign_non_tensor(data, use_fused_kernels=True)
    prepared = partial(engine.prepare_model_inputs, micro_batch=data)
    assert set(prepared()[0]) - set(prepare_inputs(engine, data)[0]) == {"temperature", "return_dict"}
    assert tu.get_non_tensor_data(data, "use_fused_kernels", None) is True
