"""From ``pixel_values`` back to the very 8-bit pictures that a processor made them of, and forth again.

A picture whose sides are what the processor resizes to (for Qwen-VL multiples of patch * merge, within its pixel
budget) goes through it unresized, so both ways are exact: a picture changed by whole levels reaches the model in the
rollout engine, which processes it again, exactly as it was changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from verl_plugins.vision.layout import layout_of

TOLERANCE = 0.05  # levels; float32 pixel_values are off by less than 0.001


def to_pixels(pixel_values: Tensor, grid: Tensor | None, processor: Any) -> list[Tensor]:
    """The pictures of one sample, each (3, H, W) uint8 as the processor resized it; of InternVL3 its tiles.

    Args:
        pixel_values: float, as the processor made it of still images.
        grid: ``image_grid_thw``, (images, 3); None for InternVL3.
        processor: of the model.

    Raises:
        ValueError: a processor whose layout is not known; values that no 8-bit picture gives; frames that differ.
    """
    layout = layout_of(processor)
    grids = None if grid is None else torch.as_tensor(grid).reshape(-1, 3).tolist()
    pictures = []
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
        pictures.append(levels[0].to(torch.uint8))
    return pictures


def to_pixel_values(pictures: list[Tensor], processor: Any, settings: Mapping[str, Any] | None = None) -> Tensor:
    """What the processor makes of pictures (3, H, W) uint8; of those of ``to_pixels``, the values they came from.

    Args:
        pictures: as many as one sample may have.
        processor: of the model.
        settings: verl's ``data.mm_processor_kwargs``, with which the run calls it.

    Raises:
        ValueError: the processor resizes a picture, or cuts it into several.
    """
    layout = layout_of(processor)
    made = _process(pictures, processor, settings)
    images = layout.images(made)
    if len(images) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures: the processor cuts them into {len(images)}, expected one each")
    for number, picture in enumerate(pictures):
        if layout.tiled:
            size = tuple(made["pixel_values"][images[number]].shape[-2:])
        else:
            _, rows, columns = made["image_grid_thw"][number].tolist()
            size = (rows * layout.patch_size, columns * layout.patch_size)
        if size != tuple(picture.shape[-2:]):
            raise ValueError(f"image {number}: got {tuple(picture.shape[-2:])}, which the processor resizes to {size}")
    return made["pixel_values"]


def check_invertible(processor: Any, settings: Mapping[str, Any] | None = None) -> None:
    """Send a picture through the processor, back and through it again.

    Args:
        processor, settings: as for ``to_pixel_values``.

    Raises:
        ValueError: it does not come back, so an attack could not tell which picture has the pixels it wants.
    """
    layout = layout_of(processor)  # refuses processors that it does not know
    pixels = torch.randint(0, 256, (3, 448, 896), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    made = _process([pixels], processor, settings)
    pictures = to_pixels(made["pixel_values"], None if layout.tiled else made["image_grid_thw"], processor)
    name = type(processor).__name__
    if len(pictures) != 1:
        raise ValueError(
            f"data.mm_processor_kwargs: got {dict(settings or {})}, with which {name} cuts a picture into "
            f"{len(pictures)} tiles, expected one for saei (tiles overlap in the thumbnail and cannot be changed "
            "apart); set data.mm_processor_kwargs.crop_to_patches=false"
        )
    if not torch.equal(to_pixel_values(pictures, processor, settings), made["pixel_values"]):
        raise ValueError(
            f"image processor: got other pixel_values from {name} for the picture they were turned "
            "back into, expected the same; saei cannot attack images through it"
        )


def _process(pictures: list[Tensor], processor: Any, settings: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The processor's output, called with a text as in a run: some settings have other defaults without one."""
    text = processor.image_token * len(pictures)
    return processor(text=[text], images=pictures, return_tensors="pt", **(settings or {}))
