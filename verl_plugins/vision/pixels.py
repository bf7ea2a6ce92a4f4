"""Exact conversion of ``pixel_values`` to the 8-bit images that a processor made them from, and back.

An image that already has the size the processor resizes to (for Qwen-VL: sides are multiples of patch * merge, within
its pixel budget) passes through it unresized, so both directions are exact. An image changed here by whole levels
therefore reaches the model unchanged in the rollout engine, which processes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from verl_plugins.vision.layout import layout_of

TOLERANCE = 0.05  # levels; float32 pixel_values are off by less than 0.001


def to_pixels(pixel_values: Tensor, grid: Tensor | None, processor: Any) -> list[Tensor]:
    """Recover the images of one example from its ``pixel_values``.

    Args:
        pixel_values: float, made by the processor from still images.
        grid: ``image_grid_thw``, (images, 3); None for InternVL3.
        processor: the model's processor.

    Returns:
        Images (3, H, W) uint8 in the size that the processor resized them to; for InternVL3 its tiles.

    Raises:
        ValueError: the processor's layout is not known, the values come from no 8-bit image, or frames differ.
    """
    layout = layout_of(processor)
    grids = None if grid is None else torch.as_tensor(grid).reshape(-1, 3).tolist()
    images = []
    for number, rows in enumerate(layout.images({"pixel_values": pixel_values, "image_grid_thw": grid})):
        frames = layout.to_pictures(pixel_values[rows], None if grids is None else grids[number]) * 255
        levels = frames.round()
        if (frames - levels).abs().max() > TOLERANCE or levels.min() < 0 or levels.max() > 255:
            raise ValueError(
                f"pixel_values of image {number}: got values that are no levels of 8-bit pixels under the processor's "
                f"image_mean and image_std, expected what {type(processor).__name__} makes of a picture"
            )
        if not torch.equal(levels[:1].expand_as(levels), levels):
            raise ValueError(f"pixel_values of image {number}: got frames that differ, expected a still image")
        images.append(levels[0].to(torch.uint8))
    return images


def as_processed(images: list[Any], processor: Any, settings: Mapping[str, Any] | None = None) -> list[Tensor]:
    """Resize images as the processor does; it passes the result through unresized.

    Args:
        images: of one example, as the processor takes them.
        processor: the model's processor.
        settings: verl's ``data.mm_processor_kwargs``, which the run passes to the processor.

    Returns:
        Images (3, H, W) uint8, as ``to_pixels``.

    Raises:
        ValueError: as ``to_pixels``.
    """
    inputs = _process(images, processor, settings)
    return to_pixels(inputs["pixel_values"], inputs.get("image_grid_thw"), processor)


def to_pixel_values(images: list[Tensor], processor: Any, settings: Mapping[str, Any] | None = None) -> Tensor:
    """Process the images of one example. The images of ``to_pixels`` give the values they were recovered from.

    Args:
        images: each (3, H, W) uint8.
        processor: the model's processor.
        settings: verl's ``data.mm_processor_kwargs``, which the run passes to the processor.

    Returns:
        ``pixel_values`` as the processor returns them.

    Raises:
        ValueError: the processor resizes an image, or cuts it into several.
    """
    layout = layout_of(processor)
    inputs = _process(images, processor, settings)
    spans = layout.images(inputs)
    if len(spans) != len(images):
        raise ValueError(f"{len(images)} pictures: the processor cuts them into {len(spans)}, expected one each")
    for number, image in enumerate(images):
        if layout.tiled:
            size = tuple(inputs["pixel_values"][spans[number]].shape[-2:])
        else:
            _, rows, columns = inputs["image_grid_thw"][number].tolist()
            size = (rows * layout.patch_size, columns * layout.patch_size)
        if size != tuple(image.shape[-2:]):
            raise ValueError(f"image {number}: got {tuple(image.shape[-2:])}, which the processor resizes to {size}")
    return inputs["pixel_values"]


def check_invertible(processor: Any, settings: Mapping[str, Any] | None = None) -> None:
    """Check that a random image passes through the processor, back, and through it again unchanged.

    Args:
        processor, settings: as for ``to_pixel_values``.

    Raises:
        ValueError: the image does not come back, so an attack could not know which image gives the pixels it computed.
    """
    layout = layout_of(processor)  # raises for an unknown processor
    pixels = torch.randint(0, 256, (3, 448, 896), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    inputs = _process([pixels], processor, settings)
    images = to_pixels(inputs["pixel_values"], None if layout.tiled else inputs["image_grid_thw"], processor)
    name = type(processor).__name__
    if len(images) != 1:
        raise ValueError(
            f"data.mm_processor_kwargs: got {dict(settings or {})}, with which {name} cuts an image into "
            f"{len(images)} tiles, expected one (tiles overlap in the thumbnail and cannot be changed "
            "apart); set data.mm_processor_kwargs.crop_to_patches=false"
        )
    if not torch.equal(to_pixel_values(images, processor, settings), inputs["pixel_values"]):
        raise ValueError(
            f"data.mm_processor_kwargs: got other pixel_values from {name} for the image that they were "
            "converted back to, expected the same; set data.mm_processor_kwargs"
        )


def _process(images: list[Any], processor: Any, settings: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Call the processor with a text, as a run does: without one, some settings have other defaults."""
    text = processor.image_token * len(images)
    return processor(text=[text], images=images, return_tensors="pt", **(settings or {}))
