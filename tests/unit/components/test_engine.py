"""The counterfactual forward on the tiny model, against full logits of two plain forwards."""

from __future__ import annotations

import sys

import pytest
import tiny_families
import torch
from bare_engine import bare_engine
from divergence_cases import exact
from tensordict import TensorDict
from tiny_engine import build_engine, micro_batch, pack_as_verl_does
from transformers import AutoModelForImageTextToText
from verl.utils import tensordict_utils as tu
from verl.workers.engine.fsdp.transformer_impl import _scale_logits_by_temperature

from verl_plugins.components.counterfactual import Counterfactual, project_and_compare
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import perturb

CLEAN = Counterfactual(kind="gaussian", strength=2.0, seed=3, step=5)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    for name in ("training.engine", "components.counterfactual"):
        monkeypatch.setattr(sys.modules[f"verl_plugins.{name}"], "get_device_id", lambda: "cpu")


@pytest.fixture(scope="module")
def engine():
    return build_engine()


def batch_of(*arguments, **settings):
    data, rows, samples = micro_batch(*arguments, **settings)
    tu.assign_non_tensor(data, verl_plugins_request=CLEAN)
    return data, rows, samples


def expected(engine, rows, samples, number, temperature, index=lambda number: number // 2):
    """float64 divergences of one row's response tokens, from the full logits of two forwards of that row alone."""
    ids, positions, mask = rows[number]
    layout = layout_of(engine.model_config.processor)
    key = (CLEAN.seed, CLEAN.step, str(index(number)))
    images = (
        samples[number],
        perturb(samples[number], layout, CLEAN.kind, CLEAN.strength, key) if samples[number] else {},
    )
    span = slice(len(ids) - len(mask) - 1, len(ids) - 1)
    with torch.no_grad():
        logits = [
            engine.module(input_ids=ids[None], position_ids=positions[:, None], **image).logits[0, span]
            for image in images
        ]
    log_probs = (logits[0].double() / temperature).log_softmax(-1).gather(1, ids[span.start + 1 :, None])[:, 0]
    return exact(*logits, temperature), log_probs


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunk", [None, 2000])
def test_one_call_returns_what_two_plain_forwards_would(engine, monkeypatch, temperature, chunk):
    if chunk:
        monkeypatch.setattr(
            sys.modules["verl_plugins.components.hidden_states"], "CHUNK", chunk
        )  # three tokens at a time
    data, rows, samples = batch_of(engine.model_config.processor, [1, 1, 0, 1], [5, 9, 4, 1], temperature)
    with torch.no_grad():
        _, output = engine.forward_step(data, None, forward_only=True)
    result = output["model_output"]
    assert set(result) == {"log_probs", "entropy", "jsd", "kl", "perturbed_entropy"}
    for number, (ids, _, mask) in enumerate(rows):
        divergences, log_probs = expected(engine, rows, samples, number, temperature)
        span = slice(len(ids) - len(mask) - 1, len(ids) - 1)
        target = {**divergences._asdict(), "log_probs": log_probs}
        for name, nested in result.items():
            assert nested[number].shape == ids.shape
            torch.testing.assert_close(nested[number][span].double(), target[name], rtol=1e-3, atol=2e-5)
            assert not nested[number][: span.start].any()
    assert result["jsd"][0].max() > 1e-3  # the image matters, so the comparison means something
    assert not result["jsd"][2].any()  # a row without an image has no counterfactual
    assert torch.equal(result["entropy"][2], result["perturbed_entropy"][2])


def test_prompts_that_share_an_index_keep_their_own_images(engine):
    data, rows, samples = batch_of(engine.model_config.processor, [1, 1, 1], [5, 5, 5], index=lambda number: 0)
    with torch.no_grad():
        _, output = engine.forward_step(data, None, forward_only=True)
    for number in (0, 2):  # rows 0 and 1 are of one prompt, row 2 is of another
        divergences, _ = expected(engine, rows, samples, number, 1.0, index=lambda number: 0)
        result = output["model_output"]["jsd"][number][-6:-1].double()
        torch.testing.assert_close(result, divergences.jsd, rtol=1e-3, atol=2e-5)


def test_responses_to_one_prompt_on_two_images_are_perturbed_apart(engine):
    data, rows, samples = batch_of(engine.model_config.processor, [1, 1, 1], [5, 5, 5], index=lambda number: 0)
    tu.assign_non_tensor_stack(data, "uid", ["prompt"] * 3)  # rows 0 and 1 have one image, row 2 another
    with torch.no_grad():
        _, output = engine.forward_step(data, None, forward_only=True)
    for number in (0, 1, 2):
        divergences, _ = expected(engine, rows, samples, number, 1.0, index=lambda number: 0)
        result = output["model_output"]["jsd"][number][-6:-1].double()
        torch.testing.assert_close(result, divergences.jsd, rtol=1e-3, atol=2e-5)


def test_mixed_precision_gives_the_same_numbers_within_bfloat16(monkeypatch):
    monkeypatch.setattr(sys.modules["verl_plugins.components.hidden_states"], "get_device_name", lambda: "cpu")
    engine = build_engine(sharpness=4)
    engine._autocast_dtype = torch.bfloat16
    data, rows, samples = batch_of(engine.model_config.processor, [1, 1, 0, 1], [6, 9, 4, 1])
    with torch.no_grad():
        _, output = engine.forward_step(data, None, forward_only=True)
    for number, (ids, _, mask) in enumerate(rows):
        divergences, log_probs = expected(engine, rows, samples, number, 1.0)
        span = slice(len(ids) - len(mask) - 1, len(ids) - 1)
        for name, nested in output["model_output"].items():
            values = log_probs if name == "log_probs" else getattr(divergences, name)
            assert nested.dtype == torch.float32
            torch.testing.assert_close(nested[number][span].double(), values, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("lengths", [[6], [6, 9, 4, 1]])
def test_rows_packed_without_padding_give_the_same_numbers(engine, lengths):
    assert_packed_rows_give_the_same_numbers(engine, [1, 1, 0, 1][: len(lengths)], lengths)


def test_rows_packed_through_verls_own_forward_give_the_same_numbers(engine, monkeypatch):
    assert_packed_rows_give_the_same_numbers(
        engine, [1, 1, 0, 1], [6, 9, 4, 1], before=lambda: pack_as_verl_does(monkeypatch)
    )


def assert_packed_rows_give_the_same_numbers(engine, with_image, lengths, before=lambda: None):
    data, rows, samples = batch_of(engine.model_config.processor, with_image, lengths)
    target = [expected(engine, rows, samples, number, 1.0) for number in range(len(rows))]
    tu.assign_non_tensor(data, use_remove_padding=True)
    before()
    with torch.no_grad():
        _, output = engine.forward_step(data, None, forward_only=True)
    for number, ((ids, _, mask), (divergences, log_probs)) in enumerate(zip(rows, target, strict=True)):
        span = slice(len(ids) - len(mask) - 1, len(ids) - 1)
        for name, nested in output["model_output"].items():
            values = log_probs if name == "log_probs" else getattr(divergences, name)
            torch.testing.assert_close(nested[number][span].double(), values, rtol=1e-3, atol=2e-4)


def test_qwen3_vl_packed_without_padding_gives_the_same_numbers():
    config, processor = tiny_families.qwen3_vl()
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # a random model hardly looks at its image
    data, _, _ = batch_of(processor, [1, 1, 1, 1], [6, 9, 4, 1])
    result = []
    for packed in (False, True):
        tu.assign_non_tensor(data, use_remove_padding=packed)
        with torch.no_grad():
            _, output = bare_engine(model, processor, micro_batch_size=4).forward_step(data, None, forward_only=True)
        result.append(output["model_output"])
    assert result[0]["jsd"].values().max() > 1e-3
    for name, padded in result[0].items():
        torch.testing.assert_close(result[1][name].values(), padded.values(), rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_log_probabilities_are_those_of_verls_update_at_any_temperature(dtype):
    """verl rounds the temperature, and the logits divided by it, to the logits' dtype; so must the old ones."""
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(16, 300, bias=False)
    head.weight.data.normal_(0, 3, generator=generator)
    states, perturbed = torch.randn(2, 8, 16, generator=generator).to(dtype)
    labels = torch.randint(0, 300, (8,), generator=generator)
    temperature = torch.tensor([0.7] * 4 + [1.3] * 4)
    with torch.no_grad():
        result, _ = project_and_compare(head.to(dtype), states, perturbed, labels, temperature)
        scaled = _scale_logits_by_temperature(head(states), temperature[:, None], is_unit_temperature=False)
    of_the_update = scaled.float().log_softmax(dim=-1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(result, of_the_update, rtol=1e-5, atol=1e-5)


def test_the_model_projects_normally_again_afterwards(engine):
    data, rows, _ = batch_of(engine.model_config.processor, [0], [3])
    with torch.no_grad():
        engine.forward_step(data, None, forward_only=True)
        assert engine.module(input_ids=rows[0][0][None]).logits.shape[1] == len(rows[0][0])


def test_a_batch_that_does_not_ask_is_verls(engine, monkeypatch):
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    monkeypatch.setattr(FSDPEngineWithLMHead, "forward_step", lambda self, *arguments: arguments)
    batch = TensorDict({"input_ids": torch.zeros(1, 2)}, batch_size=[1])
    assert engine.forward_step(batch, None, True) == (batch, None, True)
