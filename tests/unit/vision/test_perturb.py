"""Perturbations of real processors' output, and the layouts that they use."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import GotOcr2ImageProcessor, Qwen2VLImageProcessor

from verl_plugins.vision.layout import PixelLayout, layout_of
from verl_plugins.vision.perturb import PERTURBATIONS, Perturbation, diffusion_at, perturb

PROCESSORS = {
    "qwen2.5-vl": Qwen2VLImageProcessor(patch_size=14, merge_size=2, min_pixels=28 * 28),
    "qwen3-vl": Qwen2VLImageProcessor(
        patch_size=16, merge_size=2, min_pixels=32 * 32, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ),
    "internvl3": GotOcr2ImageProcessor(size={"height": 448, "width": 448}, crop_to_patches=True, max_patches=4),
}


def picture(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def processed(name):
    """Process two images of one example; return inputs, layout and images."""
    processor = PROCESSORS[name]
    side = 2 * getattr(processor, "patch_size", None) if name != "internvl3" else 448
    images = [picture(3 * side, 2 * side), picture(side, side, seed=1)]
    return dict(processor(images, return_tensors="pt")), layout_of(SimpleNamespace(image_processor=processor)), images


@pytest.mark.parametrize("name", PROCESSORS)
def test_pictures_come_back_as_they_went_in(name):
    inputs, layout, images = processed(name)
    rows = layout.images(inputs)
    grids = [None] * len(rows) if layout.tiled else inputs["image_grid_thw"].tolist()
    for span, grid in zip(rows, grids, strict=True):
        patches = inputs["pixel_values"][span]
        pictures = layout.to_pictures(patches, grid)
        torch.testing.assert_close(layout.to_patches(pictures, grid), patches, rtol=1e-5, atol=1e-5)
    last = layout.to_pictures(inputs["pixel_values"][rows[-1]], grids[-1])
    if name != "internvl3":  # whose last tile is the only tile of the second image, without repeated frames
        assert len(last) == 2  # a still image is two equal frames
    expected = torch.from_numpy(np.array(images[-1])).permute(2, 0, 1) / 255
    torch.testing.assert_close(last[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", PERTURBATIONS)
@pytest.mark.parametrize("name", PROCESSORS)
def test_every_kind_keeps_shape_dtype_grid_and_input_and_repeats_by_key(name, kind):
    inputs, layout, _ = processed(name)
    inputs["pixel_values"] = inputs["pixel_values"].bfloat16()
    before = inputs["pixel_values"].clone()
    strength = PERTURBATIONS[kind].default

    def draw(step):
        return perturb(inputs, layout, kind, strength, (0, step, 17))

    first, again, other = draw(1), draw(1), draw(2)
    assert torch.equal(inputs["pixel_values"], before)
    assert first["pixel_values"].shape == before.shape and first["pixel_values"].dtype == before.dtype
    assert first.keys() == inputs.keys() and torch.isfinite(first["pixel_values"]).all()
    assert torch.equal(first["pixel_values"], again["pixel_values"])
    assert not torch.equal(first["pixel_values"], before)
    random = kind in ("gaussian", "gaussian_pixels", "diffusion", "patch")
    assert torch.equal(first["pixel_values"], other["pixel_values"]) is not random


def test_gaussian_noise_has_its_strength_and_differs_between_images():
    layout = PixelLayout((0.5,) * 3, (0.25,) * 3, patch_size=14, merge_size=2, temporal_patch_size=2)
    inputs = {"pixel_values": torch.zeros(32, 1176), "image_grid_thw": torch.tensor([[1, 4, 4], [1, 4, 4]])}
    noise = perturb(inputs, layout, "gaussian", 2.0, (0, 1, 2))["pixel_values"]
    assert noise.std().item() == pytest.approx(2.0, rel=0.02)
    assert not torch.equal(noise[:16], noise[16:])


@pytest.mark.parametrize("name", PROCESSORS)
def test_gaussian_noise_in_levels_is_the_same_on_every_family(name):
    inputs, layout, _ = processed(name)
    out = perturb(inputs, layout, "gaussian_pixels", 51.0, (0, 1, 2))["pixel_values"]
    rows = layout.images(inputs)[0]
    grid = None if layout.tiled else inputs["image_grid_thw"][0].tolist()
    pictures = layout.to_pictures(out[rows], grid)
    noise = pictures - layout.to_pictures(inputs["pixel_values"][rows], grid)
    assert noise.std(dim=(0, 2, 3)).tolist() == pytest.approx([51 / 255] * 3, rel=0.05)  # a fifth of the range
    assert abs(noise.mean().item()) < 0.01
    assert pictures.min() < 0 and pictures.max() > 1  # not clamped, as the noise on normalised pixels
    assert len(pictures) == 1 or not torch.equal(noise[0], noise[1])


def test_sigma_two_in_pixels_depends_on_the_family():
    # sigma * image_std: CLIP's deviations on Qwen2.5-VL, 1/2 on Qwen3-VL
    shares = {name: 2 * np.mean(layout_of(PROCESSORS[name]).std) for name in ("qwen2.5-vl", "qwen3-vl")}
    assert shares == {"qwen2.5-vl": pytest.approx(0.537, abs=5e-4), "qwen3-vl": 1.0}
    assert PERTURBATIONS["gaussian_pixels"].default == pytest.approx(255 * shares["qwen2.5-vl"], abs=0.1)


def test_diffusion_has_the_published_strengths_and_stays_in_range():
    for step, sigma in ((400, 0.327), (450, 0.413), (500, 0.505)):
        assert diffusion_at(step)[1] == pytest.approx(sigma, abs=5e-4)
    assert diffusion_at(500)[0] == pytest.approx(0.863, abs=5e-4)
    assert diffusion_at(0)[1] < 0.005
    inputs, layout, _ = processed("qwen2.5-vl")
    out = perturb(inputs, layout, "diffusion", 500.0, (0, 0, 0))["pixel_values"]
    frames = layout.to_pictures(out[layout.images(inputs)[0]], inputs["image_grid_thw"][0].tolist())
    assert frames.min() > -1e-5 and frames.max() < 1 + 1e-5
    torch.testing.assert_close(frames[0], frames[1])  # the same noise on both frames of a still image


def test_patches_go_black_with_the_given_probability():
    layout = PixelLayout((0.5,) * 3, (0.25,) * 3, patch_size=14, merge_size=2, temporal_patch_size=2)
    inputs = {"pixel_values": torch.ones(1600, 1176), "image_grid_thw": torch.tensor([[1, 40, 40]])}
    out = perturb(inputs, layout, "patch", 0.6, (0, 0, 0))["pixel_values"]
    black = torch.isclose(out, torch.tensor(-2.0)).all(dim=1)  # (0 - 0.5) / 0.25
    assert (black | torch.isclose(out, torch.tensor(1.0)).all(dim=1)).all()  # whole vision patches
    assert black.float().mean().item() == pytest.approx(0.6, abs=0.05)


def test_grey_takes_the_colour_and_blur_the_detail():
    inputs, layout, _ = processed("qwen3-vl")
    grid, rows = inputs["image_grid_thw"][0].tolist(), layout.images(inputs)[0]
    clean = layout.to_pictures(inputs["pixel_values"][rows], grid)
    grey = layout.to_pictures(perturb(inputs, layout, "grey", 1.0, (0,))["pixel_values"][rows], grid)
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    torch.testing.assert_close(grey[:, 0], (clean * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1))
    blurred = layout.to_pictures(perturb(inputs, layout, "blur", 4.0, (0,))["pixel_values"][rows], grid)
    assert blurred.var() < 0.05 * clean.var()
    torch.testing.assert_close(blurred.mean(), clean.mean(), rtol=0.05, atol=0)


def test_a_grid_that_does_not_fit_is_named():
    inputs, layout, _ = processed("qwen2.5-vl")
    inputs["image_grid_thw"] = inputs["image_grid_thw"] + torch.tensor([0, 2, 0])
    with pytest.raises(ValueError, match="pixel_values: got 28 patches, expected 44 by image_grid_thw"):
        perturb(inputs, layout, "zero", 1.0, (0,))


def test_an_unknown_processor_is_named():
    class Unknown:
        image_mean = image_std = (0.5,) * 3

    with pytest.raises(ValueError, match="image processor: got Unknown, .* expected that of Qwen2.5-VL"):
        layout_of(SimpleNamespace(image_processor=Unknown()))


def test_the_sigmoid_schedule_decays_from_full_to_none():
    image = Perturbation("gaussian", 2.0, "sigmoid")
    assert image.strength_at(0.0) == pytest.approx(2.0, rel=1e-5)
    assert image.strength_at(0.5) == 1.0
    assert image.strength_at(1.0) < 1e-5
    assert Perturbation("diffusion").strength_at(0.9) == 500.0


def test_the_schedule_is_noisyrollouts_by_hand():
    # alpha_0 (1 - sigmoid(lambda (t - gamma) / t_max)): alpha_0 = 500, lambda = 30, gamma = 40, t_max = 60; the
    # exponents at steps 0, 20, 40, 60 are -20, -10, 0, 10; e^-20 = 2.0612e-9, e^-10 = 4.53999e-5, e^10 = 22026.4658
    image = Perturbation("diffusion", 500.0, "sigmoid", midpoint=40 / 60, steepness=30.0)
    by_hand = {0: 500 - 1.0306e-6, 20: 500 - 0.022698934, 40: 250.0, 60: 0.022698934}
    for step, strength in by_hand.items():
        assert image.strength_at(step / 60) == pytest.approx(strength, rel=0, abs=1e-9), step
    vepo_script = Perturbation("diffusion", 500.0, "sigmoid", midpoint=40 / 160)
    assert vepo_script.strength_at(40 / 160) == 250.0 and vepo_script.strength_at(0.5) < 0.3


@pytest.mark.parametrize("numbers", [{"midpoint": 1.1}, {"midpoint": True}, {"steepness": -1}, {"steepness": math.inf}])
def test_the_numbers_of_the_schedule_are_in_range(numbers):
    ((name, number),) = numbers.items()
    with pytest.raises(ValueError, match=f"^schedule_{name}: got {number!r}, expected "):
        Perturbation("gaussian", 2.0, "sigmoid", **numbers)


@pytest.mark.parametrize("strength", [math.nan, math.inf, -1, True, "2"])
def test_a_strength_is_a_number_in_range(strength):
    with pytest.raises(ValueError, match="strength: got"):
        Perturbation("gaussian", strength)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_strength_of_0_is_refused_where_it_changes_no_image(kind):
    inputs, layout, _ = processed("qwen2.5-vl")
    unchanged = perturb(inputs, layout, kind, 0.0, (0,))["pixel_values"]
    if PERTURBATIONS[kind].changes_at_0:
        assert not torch.allclose(unchanged, inputs["pixel_values"], atol=1e-4)
    else:
        torch.testing.assert_close(unchanged, inputs["pixel_values"], rtol=1e-5, atol=1e-5)
        with pytest.raises(ValueError, match=rf"got 0, expected .* in \(0, .* for {kind} \(0 changes no image\)"):
            Perturbation(kind, 0)
