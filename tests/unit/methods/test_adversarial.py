"""The engine's attack on the tiny model, against autograd through full logits."""

from __future__ import annotations

import sys

import pytest
import torch
from bare_engine import Row, bare_engine, worker_batch
from selective_entropy import selective_entropy
from tiny_engine import build_engine, image, micro_batch, pack_as_verl_does
from tiny_families import qwen3_5, qwen3_vl
from transformers import AutoModelForImageTextToText
from verl.utils import tensordict_utils as tu

from verl_plugins.components.requests import REQUEST
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.attacked_images import AttackedImages
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import PIXELS, SIZES, STATISTICS
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.pixels import to_pixel_values, to_pixels


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    for name in ("training.engine", "methods.saei.attack", "methods.saei.attacked_images"):
        monkeypatch.setattr(sys.modules[f"verl_plugins.{name}"], "get_device_id", lambda: "cpu")


@pytest.fixture(scope="module")
def engine():
    return build_engine()


def attack(engine, lengths, temperature=1.0, packed=False, **settings):
    data, rows, samples = micro_batch(engine.model_config.processor, [1] * len(lengths), lengths, temperature)
    tu.assign_non_tensor(data, use_remove_padding=packed)
    tu.assign_non_tensor(data, **{REQUEST: AttackRequest(SaEIConfig(**settings), seed=3, step=5)})
    with torch.no_grad():
        output = engine.forward_backward_batch(data, None, forward_only=True)
    return output["model_output"], rows, samples


def plain_entropy(engine, row, pixel_values, sample, config, temperature):
    """H_sel of one row from the full logits of a forward of that row alone."""
    ids, positions, mask = row
    logits = engine.module(
        input_ids=ids[None],
        position_ids=positions[:, None],
        pixel_values=pixel_values,
        image_grid_thw=sample["image_grid_thw"],
    ).logits
    span = slice(len(ids) - len(mask) - 1, len(ids) - 1)
    return selective_entropy(logits[:, span] / temperature, mask[None], config)


def pictures_of(result, sample, row):
    size = result[SIZES][row].tolist()
    assert size == [int(n) * 14 for n in sample["image_grid_thw"][0, 1:]]
    return result[PIXELS][row].view(3, *size)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("band", ["middle", "all", (0.5, 1.0)])
def test_one_step_is_the_sign_of_autograds_gradient_through_all_responses(engine, monkeypatch, temperature, band):
    monkeypatch.setattr(sys.modules["verl_plugins.components.hidden_states"], "CHUNK", 8000)  # three tokens at a time
    config = SaEIConfig(band=band)
    result, rows, samples = attack(engine, [7, 9, 4, 6], temperature, band=band)
    for first in (0, 2):  # two prompts of two responses; the micro-batches of two rows hold one prompt each
        pixel_values = samples[first]["pixel_values"].clone().requires_grad_()
        entropies = [
            plain_entropy(engine, rows[row], pixel_values, samples[first], config, temperature)[0]
            for row in (first, first + 1)
        ]
        (gradient,) = torch.autograd.grad(torch.stack(entropies).mean(), pixel_values)
        torch.testing.assert_close(
            result[STATISTICS][first : first + 2, 0], torch.cat(entropies).detach(), rtol=1e-3, atol=1e-4
        )
        (clean,) = to_pixels(
            samples[first]["pixel_values"], samples[first]["image_grid_thw"], engine.model_config.processor
        )
        # where a frame's patch of the clean image moved up, the gradient of its pixel_values is positive
        moved = pictures_of(result, samples[first], first).int() - clean.int()
        values = to_pixel_values([(clean.int() + moved).clamp(0, 255).to(torch.uint8)], engine.model_config.processor)
        change = (values - samples[first]["pixel_values"]).sign()
        frames = (
            gradient.view(len(gradient), 3, 2, -1)
            .sum(dim=2, keepdim=True)
            .expand(-1, -1, 2, -1)
            .reshape(gradient.shape)
        )
        decided = frames.abs() > 1e-3 * frames.abs().max()
        agree = (change == frames.sign())[decided & (change != 0)]
        assert agree.float().mean() > 0.999 and len(agree) > 1000
        assert result[SIZES][first + 1].tolist() == []  # the prompt's picture stands in its first row only


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_step_raises_the_entropy_of_the_same_tokens_and_random_signs_do_not(monkeypatch, dtype):
    engine = build_engine(sharpness=2)  # smooth enough for a step of two levels
    engine._autocast_dtype = dtype
    monkeypatch.setattr(sys.modules["verl_plugins.components.hidden_states"], "get_device_name", lambda: "cpu")
    result, _, _ = attack(engine, [12, 9, 10, 6])
    before, after, change = result[STATISTICS].unbind(dim=1)
    assert (after > before).all()
    assert ((change > 1.5) & (change <= 2)).all()
    random, _, _ = attack(engine, [12, 9, 10, 6], direction="random")
    noise = random[STATISTICS]
    torch.testing.assert_close(noise[:, 0], before)
    assert ((noise[:, 1] - noise[:, 0]).abs() < 0.3 * (after - before)).all()
    assert ((noise[:, 2] > 1.5) & (noise[:, 2] <= 2)).all()


def test_entropy_after_is_that_of_the_processed_picture(engine):
    result, rows, samples = attack(engine, [12, 9], steps=3, epsilon=4)
    processor = engine.model_config.processor
    picture = pictures_of(result, samples[0], 0)
    (clean,) = to_pixels(samples[0]["pixel_values"], samples[0]["image_grid_thw"], processor)
    assert (picture.int() - clean.int()).abs().max() == 4
    values = to_pixel_values([picture], processor)
    for row in (0, 1):
        _, kept = plain_entropy(engine, rows[row], samples[0]["pixel_values"], samples[0], SaEIConfig(), 1.0)
        ids, positions, mask = rows[row]
        span = slice(len(ids) - len(mask) - 1, len(ids) - 1)
        logits = engine.module(
            input_ids=ids[None],
            position_ids=positions[:, None],
            pixel_values=values,
            image_grid_thw=samples[0]["image_grid_thw"],
        ).logits[0, span]
        log_p = logits.log_softmax(-1)
        entropy = -(log_p.exp() * log_p).sum(-1)[kept[0]].mean()
        torch.testing.assert_close(result[STATISTICS][row, 1], entropy.detach(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("forward", ["transformers'", "verl's"])
def test_rows_packed_without_padding_lead_to_the_same_pictures(engine, monkeypatch, forward):
    padded, _, _ = attack(engine, [7, 9, 4, 6])
    if forward == "verl's":
        pack_as_verl_does(monkeypatch)
    packed, _, _ = attack(engine, [7, 9, 4, 6], packed=True)
    torch.testing.assert_close(packed[STATISTICS], padded[STATISTICS], rtol=1e-3, atol=1e-4)
    same = packed[PIXELS].values() == padded[PIXELS].values()
    assert same.float().mean() > 0.999  # the rest: pixels whose gradient is rounding


def test_alpha_zero_returns_the_clean_picture_and_an_attack_repeats(engine):
    result, _, samples = attack(engine, [7, 9], alpha=0)
    (clean,) = to_pixels(samples[0]["pixel_values"], samples[0]["image_grid_thw"], engine.model_config.processor)
    assert torch.equal(pictures_of(result, samples[0], 0), clean)
    for settings in ({}, {"direction": "random"}, {"band": "random"}):
        first, _, _ = attack(engine, [7, 9], **settings)
        again, _, _ = attack(engine, [7, 9], **settings)
        assert torch.equal(first[PIXELS].values(), again[PIXELS].values()), settings


def test_parameters_get_no_gradient_and_take_it_again_afterwards(engine):
    seen = []
    handle = engine.module.lm_head.register_forward_hook(
        lambda module, *_: seen.append(any(parameter.requires_grad for parameter in engine.module.parameters()))
    )
    attack(engine, [7, 9])
    handle.remove()
    assert seen and not any(seen)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in engine.module.parameters())
    assert not engine.module.training
    assert torch.is_grad_enabled()


def test_checkpointed_activations_give_the_same_picture(engine):
    plain, _, _ = attack(engine, [7, 9])
    engine.module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    engine.model_config.enable_gradient_checkpointing = True
    try:
        result, _, _ = attack(engine, [7, 9])
    finally:
        engine.module.gradient_checkpointing_disable()
        engine.model_config.enable_gradient_checkpointing = False
    assert (result[PIXELS].values() == plain[PIXELS].values()).float().mean() > 0.999
    assert not engine.module.training


def test_micro_batches_of_a_number_of_tokens_give_the_same_pictures(engine, monkeypatch):
    plain, _, _ = attack(engine, [7, 9, 4, 6])
    monkeypatch.setattr(engine.engine_config, "use_dynamic_bsz", True)
    monkeypatch.setattr(engine.engine_config, "max_token_len_per_gpu", 100)
    result, _, _ = attack(engine, [7, 9, 4, 6])  # a row each
    assert [part.tolist() for part in result[SIZES].unbind()] == [part.tolist() for part in plain[SIZES].unbind()]
    torch.testing.assert_close(result[STATISTICS], plain[STATISTICS], rtol=1e-4, atol=1e-5)
    assert (result[PIXELS].values() == plain[PIXELS].values()).float().mean() > 0.999


def test_images_larger_than_the_processors_own_limit_are_attacked_under_the_runs():
    processor, limits = qwen3_vl()[1], {"min_pixels": 32 * 32, "max_pixels": 600 * 600}
    picture = image(0).resize((416, 512))
    made = processor(text=[processor.image_token], images=[picture], return_tensors="pt", **limits)
    images = AttackedImages(processor, limits, ["a"], [0], [made], (3, 5))
    images.take_step(SaEIConfig(direction="random"), 0)
    assert images.bytes_and_sizes("a")[1].tolist() == [512, 416] and images.change("a") > 1.5
    assert images.inputs("a")["pixel_values"].shape == made["pixel_values"].shape


@pytest.fixture(scope="module")
def linear_engine():
    """An engine around a tiny Qwen3.5, whose gradient passes through layers of linear attention."""
    config, processor = qwen3_5()
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    return bare_engine(model, processor, micro_batch_size=3)


@pytest.mark.parametrize(
    ("name", "sizes"), [("engine", [(56, 84), (112, 112)]), ("linear_engine", [(64, 96), (96, 96)])]
)
def test_all_images_of_a_prompt_move_along_their_own_gradient(request, name, sizes):
    engine = request.getfixturevalue(name)
    processor = engine.model_config.processor
    images = [image(number).resize(size) for number, size in enumerate(sizes)]
    generator = torch.Generator().manual_seed(1)
    responses = [torch.randint(10, 200, (length,), generator=generator) for length in (8, 5)]
    rows = [Row("prompt", 0, number, "both", images, ids) for number, ids in enumerate(responses)]
    data = worker_batch(rows, processor)
    sample = data["multi_modal_inputs"][0]
    single = [(data["input_ids"][row], torch.arange(len(data["input_ids"][row])).expand(4, -1)) for row in (0, 1)]
    tu.assign_non_tensor(data, **{REQUEST: AttackRequest(SaEIConfig(), seed=3, step=5)})
    with torch.no_grad():
        result = engine.forward_backward_batch(data, None, forward_only=True)["model_output"]
    assert result[SIZES][0].tolist() == [side for width, height in sizes for side in (height, width)]
    assert result[SIZES][1].tolist() == []

    pixel_values = sample["pixel_values"].clone().requires_grad_()
    entropies = [
        plain_entropy(engine, (*part, torch.ones(len(ids))), pixel_values, sample, SaEIConfig(), 1.0)[0]
        for part, ids in zip(single, responses, strict=True)
    ]
    (gradient,) = torch.autograd.grad(torch.stack(entropies).mean(), pixel_values)
    layout = layout_of(processor)
    clean = to_pixels(sample["pixel_values"], sample["image_grid_thw"], processor)
    moved = result[PIXELS][0].split([picture.numel() for picture in clean])
    grids = sample["image_grid_thw"].tolist()
    for before, after, span, grid in zip(clean, moved, layout.images(sample), grids, strict=True):
        change = (after.view(before.shape).int() - before.int()).sign()
        expected = layout.picture_gradient(gradient[span], grid)
        decided = (expected.abs() > 1e-3 * expected.abs().max()) & (change != 0)
        assert (change == expected.sign())[decided].float().mean() > 0.999
        assert decided.float().mean() > 0.5
