"""Images under attack: those of a rank's prompts, as 8-bit images and as the model's ``pixel_values``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from verl.utils.device import get_device_id

from verl_plugins.methods.saei.maths import SaEIConfig, pgd_step
from verl_plugins.seeds import seed_of
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.pixels import to_pixel_values, to_pixels


@dataclass
class _Prompt:
    """Images of one prompt.

    Args:
        clean_inputs: the processor's output for the clean images.
        key: key of the random draws.
        clean: (3, H, W) uint8 for each image.
        pixels: current images, likewise.
        pixel_values: the processor's output for ``pixels``.
        gradient: (3, H, W) float32 for each image, summed over the responses.
    """

    clean_inputs: dict[str, Any]
    key: tuple[int | str, ...]
    clean: list[Tensor]
    pixels: list[Tensor]
    pixel_values: Tensor
    gradient: list[Tensor] = field(default_factory=list)

    @property
    def grids(self) -> list:
        grid = self.clean_inputs.get("image_grid_thw")
        return [None] * len(self.clean) if grid is None else torch.as_tensor(grid).reshape(-1, 3).tolist()


class AttackedImages:
    """Images of each prompt by its uid. Every response to a prompt adds to the gradient of the prompt's images.

    Args:
        processor: the model's processor.
        settings: keyword arguments of the processor, verl's ``data.mm_processor_kwargs``.
        uids: prompt of each row. Prompts are identified by uid, because where a data set has no index verl gives every
            row index 0.
        indices: data set index of each row's prompt.
        inputs: the processor's output for each row.
        key: key of the random draws, e.g. (seed, step); index, PGD step and number of the image are appended.

    Raises:
        ValueError: a row whose ``pixel_values`` cannot be inverted to an image (``to_pixels``).
    """

    def __init__(
        self,
        processor: Any,
        settings: Mapping[str, Any],
        uids: Sequence[str],
        indices: Sequence[Any],
        inputs: Sequence[dict[str, Any]],
        key: tuple[int | str, ...],
    ):
        self.processor, self.settings = processor, settings
        self.layout = layout_of(processor)
        self.prompts: dict[str, _Prompt] = {}
        for uid, index, sample in zip(uids, indices, inputs, strict=True):
            if uid not in self.prompts:
                clean = to_pixels(sample["pixel_values"], sample.get("image_grid_thw"), processor)
                self.prompts[uid] = _Prompt(sample, (*key, str(index)), clean, clean, sample["pixel_values"])

    def inputs(self, uid: str) -> dict[str, Any]:
        """Return a prompt's multi-modal inputs with the current images."""
        prompt = self.prompts[uid]
        return prompt.clean_inputs | {"pixel_values": prompt.pixel_values}

    def add_gradient(self, uids: Sequence[str], gradient: Tensor) -> None:
        """Add the gradient with respect to the ``pixel_values`` of rows with these uids, in their order."""
        parts = gradient.split([len(self.prompts[uid].pixel_values) for uid in uids])
        for uid, part in zip(uids, parts, strict=True):
            prompt = self.prompts[uid]
            spans = zip(self.layout.images(prompt.clean_inputs), prompt.grids, strict=True)
            gradients = [self.layout.picture_gradient(part[rows], grid) for rows, grid in spans]
            previous = prompt.gradient or [torch.zeros_like(image) for image in gradients]
            prompt.gradient = [a + b for a, b in zip(previous, gradients, strict=True)]

    def take_step(self, config: SaEIConfig, step: int) -> None:
        """Move every image one PGD step, along the gradient summed over all ranks, or in random directions."""
        if config.direction == "gradient":
            self._sum_over_ranks()
        generator = torch.Generator()
        for prompt in self.prompts.values():
            if config.direction == "random":
                prompt.gradient = [
                    torch.rand(picture.shape, generator=generator.manual_seed(seed_of(*prompt.key, step, number))) - 0.5
                    for number, picture in enumerate(prompt.clean)
                ]
            prompt.pixels = [
                pgd_step(now, gradient, clean, config.alpha, config.radius)
                for now, gradient, clean in zip(prompt.pixels, prompt.gradient, prompt.clean, strict=True)
            ]
            prompt.pixel_values = to_pixel_values(prompt.pixels, self.processor, self.settings)
            prompt.gradient = []

    def _sum_over_ranks(self) -> None:
        """Sum the gradients of prompts that several ranks hold, so that all take the same step to the last bit.

        They hold other responses to the prompt or, under Ulysses sequence parallelism, other tokens of the same. One
        sum over all ranks adds up both in one order.
        """
        if not torch.distributed.is_initialized():
            return
        ranks: list[dict[str, list]] = [{} for _ in range(torch.distributed.get_world_size())]
        own = {uid: [tuple(part.shape) for part in prompt.gradient] for uid, prompt in self.prompts.items()}
        torch.distributed.all_gather_object(ranks, own)
        for uid in sorted(set(chain.from_iterable(ranks))):
            holders = [rank[uid] for rank in ranks if uid in rank]
            if len(holders) > 1:
                prompt = self.prompts.get(uid)
                parts = prompt.gradient if prompt else [torch.zeros(shape) for shape in holders[0]]
                parts = [part.to(get_device_id()) for part in parts]
                for part in parts:
                    torch.distributed.all_reduce(part)
                if prompt:
                    prompt.gradient = [part.cpu() for part in parts]

    def bytes_and_sizes(self, uid: str) -> tuple[Tensor, Tensor]:
        """Return a prompt's current images, (bytes,) uint8 in sequence, and (2 * images,) heights and widths."""
        pixels = self.prompts[uid].pixels
        sizes = [side for picture in pixels for side in picture.shape[1:]]
        return torch.cat([picture.flatten() for picture in pixels]), torch.tensor(sizes)

    def change(self, uid: str) -> float:
        """Mean absolute change of a prompt's pixels so far, in 8-bit levels."""
        prompt = self.prompts[uid]
        pairs = zip(prompt.pixels, prompt.clean, strict=True)
        return torch.cat([(now.int() - clean.int()).abs().flatten() for now, clean in pairs]).float().mean().item()
