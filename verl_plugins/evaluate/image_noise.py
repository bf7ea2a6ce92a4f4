"""Noise on 8-bit images. It depends on the seed, the file, the row and the image alone, so that models are compared on
the same images, and a resumed evaluation repeats them on any device.

Models whose processors resize an image to different sizes get different draws of the same distribution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from verl_plugins.seeds import seed_of
from verl_plugins.vision import noise

LEVELS = 255


class ImageNoise:
    """Noise as an attack (`responder.ImageAttack`).

    Args:
        name: "gaussian" or "random".
        strength: in 8-bit levels; whole for "random".
        seed: seed of the evaluation.
    """

    def __init__(self, name: str, strength: float, seed: int):
        self.name, self.strength, self.seed = name, strength, seed

    def __call__(self, images: Sequence[Tensor], key: str) -> list[Tensor]:
        """Return new images for those of a row, each (3, H, W) uint8; ``key`` names the file and the row."""
        seeds = [seed_of(self.seed, "attack", self.name, key, number) for number in range(len(images))]
        if self.name == "gaussian":
            return [gaussian(image, self.strength, seed) for image, seed in zip(images, seeds, strict=True)]
        return [random_signs(image, int(self.strength), seed) for image, seed in zip(images, seeds, strict=True)]


def gaussian(image: Tensor, sigma: float, seed: int) -> Tensor:
    """Add N(0, sigma^2) in 8-bit levels to every value, round, and clamp to [0, 255]. (3, H, W) uint8."""
    noisy = image.float() + sigma * noise.normal(seed, image.shape, image.device)
    return noisy.round().clamp(0, LEVELS).to(torch.uint8)


def random_signs(image: Tensor, levels: int, seed: int) -> Tensor:
    """Add +levels or -levels to every value with probability 1/2 each, and clamp to [0, 255]. (3, H, W) uint8."""
    signs = 2 * (noise.uniform(seed, image.shape, image.device) < 0.5).int() - 1
    return (image.int() + levels * signs).clamp(0, LEVELS).to(torch.uint8)
