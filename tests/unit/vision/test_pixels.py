"""Images through the processors and back, and the step of the attack, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from test_perturb import picture
from tiny_families import PROCESSORS

from verl_plugins.methods.saei.maths import pgd_step
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.pixels import check_invertible, to_pixel_values, to_pixels

# data.mm_processor_kwargs of runs: limits that differ from the processor's own, and whole images
SETTINGS = {
    "qwen2_5_vl": {"min_pixels": 28 * 28, "max_pixels": 300 * 300},
    "qwen3_vl": {"min_pixels": 32 * 32, "max_pixels": 250 * 250},
    "qwen3_5": {"min_pixels": 32 * 32, "max_pixels": 250 * 250},
    "internvl3": {"crop_to_patches": False},
}


def process(name, images, **changes):
    processor = PROCESSORS[name]
    text = [processor.image_token * len(images)]
    return processor(text=text, images=images, return_tensors="pt", **SETTINGS[name] | changes)


def through(name, image):
    inputs = process(name, [image])
    return inputs["pixel_values"], to_pixels(inputs["pixel_values"], inputs.get("image_grid_thw"), PROCESSORS[name])


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", [(28, 28), (57, 91), (224, 448), (640, 33), (1000, 700)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_what_a_processor_made_leads_back_to_a_picture_that_gives_it_again(name, size, mode):
    pixel_values, (pixels,) = through(name, picture(*size).convert(mode).convert("RGB"))
    assert pixels.dtype == torch.uint8 and pixels.shape[0] == 3
    again = to_pixel_values([pixels], PROCESSORS[name], SETTINGS[name])
    assert torch.equal(again, pixel_values)
    # the rollout engine sends a PIL image through the same processor
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    assert torch.equal(process(name, [image])["pixel_values"], pixel_values)


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_picture_of_the_processors_size_comes_back_as_it_was(name):
    side = {"qwen2_5_vl": 28, "qwen3_vl": 32, "qwen3_5": 32, "internvl3": 112}[name]
    image = picture(side, side) if name == "internvl3" else picture(4 * side, 3 * side)
    _, (recovered,) = through(name, image)
    assert np.array_equal(recovered.permute(1, 2, 0).numpy(), np.array(image))


@pytest.mark.parametrize("name", PROCESSORS)
def test_every_level_of_every_channel_survives(name):
    levels = np.arange(256, dtype=np.uint8)
    side = 112 if name == "internvl3" else 224
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels.reshape(-1, 3)[: 3 * 256] = np.concatenate(
        [np.eye(3, dtype=np.uint8)[c] * levels[:, None] for c in range(3)]
    )
    _, (recovered,) = through(name, Image.fromarray(pixels))
    assert np.array_equal(recovered.permute(1, 2, 0).numpy(), pixels)


def test_several_pictures_of_one_sample():
    processor = PROCESSORS["qwen2_5_vl"]
    inputs = process("qwen2_5_vl", [picture(100, 60), picture(60, 140, seed=1)])
    images = to_pixels(inputs["pixel_values"], inputs["image_grid_thw"], processor)
    assert [tuple(image.shape) for image in images] == [(3, 56, 112), (3, 140, 56)]
    assert torch.equal(to_pixel_values(images, processor, SETTINGS["qwen2_5_vl"]), inputs["pixel_values"])


def test_values_between_the_levels_and_moving_frames_are_refused():
    processor = PROCESSORS["qwen2_5_vl"]
    inputs = process("qwen2_5_vl", [picture(56, 56)])
    values, grid = inputs["pixel_values"], inputs["image_grid_thw"]
    with pytest.raises(ValueError, match="image 0: got values that are no levels of 8-bit pixels"):
        to_pixels(values + 0.3 / 255, grid, processor)
    with pytest.raises(ValueError, match="image 0: got values that are no levels"):
        to_pixels(values * 3, grid, processor)
    moving = values.view(len(values), 3, 2, -1).clone()
    moving[:, :, 1] = moving[:, :, 1].flip(0)
    with pytest.raises(ValueError, match="image 0: got frames that differ"):
        to_pixels(moving.view_as(values), grid, processor)


def test_a_picture_that_the_processor_would_resize_is_refused():
    with pytest.raises(ValueError, match=r"image 0: got \(30, 30\), which the processor resizes to"):
        to_pixel_values([torch.zeros(3, 30, 30, dtype=torch.uint8)], PROCESSORS["qwen2_5_vl"])
    with pytest.raises(ValueError, match="1 pictures: the processor cuts them into 3"):
        to_pixel_values([torch.zeros(3, 112, 224, dtype=torch.uint8)], PROCESSORS["internvl3"])
    large = torch.zeros(3, 280, 280, dtype=torch.uint8)
    assert len(to_pixel_values([large], PROCESSORS["qwen2_5_vl"], SETTINGS["qwen2_5_vl"])) == 20 * 20
    with pytest.raises(ValueError, match=r"image 0: got \(280, 280\), which the processor resizes to \(112, 112\)"):
        to_pixel_values([large], PROCESSORS["qwen2_5_vl"], {"min_pixels": 28 * 28, "max_pixels": 112 * 112})


@pytest.mark.parametrize("name", PROCESSORS)
def test_supported_processors_are_found_invertible(name):
    check_invertible(PROCESSORS[name], SETTINGS[name])


def test_processors_that_cannot_be_inverted_are_refused_with_what_to_set():
    with pytest.raises(ValueError, match="cuts an image into 9 tiles.*set data.mm_processor_kwargs.crop_to_patches="):
        check_invertible(PROCESSORS["internvl3"])
    with pytest.raises(ValueError, match="layout of pixel_values is not known.*set actor_rollout_ref.model.path"):
        check_invertible(object())


def test_the_gradient_of_a_picture_is_autograds():
    layout = layout_of(PROCESSORS["qwen2_5_vl"])
    grid = [1, 4, 6]
    pixels = torch.rand(3, 56, 84, requires_grad=True)
    patches = layout.to_patches(pixels.expand(2, -1, -1, -1), grid)
    weights = torch.randn(patches.shape, generator=torch.Generator().manual_seed(0))
    (patches * weights).sum().backward()
    torch.testing.assert_close(layout.picture_gradient(weights, grid), pixels.grad)


def test_a_step_moves_by_alpha_and_stays_in_the_ball_and_the_range():
    clean = torch.tensor([0, 1, 100, 100, 100, 254, 255], dtype=torch.uint8)
    gradient = torch.tensor([-1.0, -3e-9, 2.0, 0.0, -5.0, 1.0, 1.0])
    once = pgd_step(clean, gradient, clean, alpha=2, epsilon=3)
    assert once.tolist() == [0, 0, 102, 100, 98, 255, 255]
    assert pgd_step(once, gradient, clean, alpha=2, epsilon=3).tolist() == [0, 0, 103, 100, 97, 255, 255]
    assert pgd_step(once, -gradient, clean, alpha=2, epsilon=3).tolist() == [2, 2, 100, 100, 100, 253, 253]
    assert torch.equal(pgd_step(clean, gradient, clean, alpha=0, epsilon=0), clean)
    assert once.dtype == torch.uint8
