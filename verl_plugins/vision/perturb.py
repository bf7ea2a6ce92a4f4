"""Perturbations of processed images: the same grid, another content. One registry, keyed randomness.

Strengths in circulation for VEPO (arXiv 2606.03937): noise of sigma 2 on normalised pixels in the released code (the
default here), diffusion noise at step 500 in the paper. PAPO and VPPO black patches out; NoisyRollout anneals
diffusion noise. Noise is keyed by (seed, step, row of the data set, image), so that the responses of one prompt share
one perturbed image, and a resumed or re-sharded run repeats it on whatever device. It is drawn on the device of the
pixels, since the host takes more than 100 ms for one image of a megapixel (benchmarks/speed/vepo_noise.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verl_plugins.seeds import seed_of
from verl_plugins.vision import noise
from verl_plugins.vision.layout import PixelLayout

Grid = list[int] | None


@dataclass(frozen=True)
class Perturbation:
    """Which perturbation, how strong, and how its strength decays over training.

    Args:
        kind: a name in PERTURBATIONS.
        strength: in the kind's own unit (see there); None for the kind's default.
        schedule: "constant", or "sigmoid": strength * sigmoid(-30 (progress - 1/2)), full at first and gone at last
            (the form of NoisyRollout, arXiv 2504.13055).

    Raises:
        ValueError: an unknown kind or schedule, or a strength out of the kind's range.
    """

    kind: str = "gaussian"
    strength: float | None = None
    schedule: str = "constant"

    def __post_init__(self) -> None:
        if self.kind not in PERTURBATIONS:
            raise ValueError(f"perturbation: got {self.kind!r}, expected one of {', '.join(PERTURBATIONS)}")
        if self.schedule not in ("constant", "sigmoid"):
            raise ValueError(f"schedule: got {self.schedule!r}, expected constant or sigmoid")
        if self.strength is not None:
            low, high = PERTURBATIONS[self.kind].range
            is_number = isinstance(self.strength, int | float) and not isinstance(self.strength, bool)
            if not (is_number and math.isfinite(self.strength) and low <= self.strength <= high):
                expected = f"{PERTURBATIONS[self.kind].unit} in [{low:g}, {high:g}] for {self.kind}, or null"
                raise ValueError(f"strength: got {self.strength!r}, expected {expected}")

    def strength_at(self, progress: float) -> float:
        """The strength at ``progress`` in [0, 1] of training."""
        strength = PERTURBATIONS[self.kind].default if self.strength is None else self.strength
        return strength / (1.0 + math.exp(30.0 * (progress - 0.5))) if self.schedule == "sigmoid" else strength


def perturb(
    inputs: Mapping[str, Any], layout: PixelLayout, kind: str, strength: float, key: tuple[int | str, ...]
) -> dict[str, Any]:
    """One sample's processor output with every image perturbed.

    Args:
        inputs: ``pixel_values`` as ``layout`` says, and ``image_grid_thw`` where it has one; not modified.
        layout: of the model's processor.
        kind: a name in PERTURBATIONS.
        strength: in the kind's unit.
        key: what the randomness hangs on, e.g. (seed, step, row); the number of the image is added to it.

    Raises:
        ValueError: ``image_grid_thw`` does not account for the rows of ``pixel_values``.
    """
    pixel_values = inputs["pixel_values"]
    grids = None if layout.tiled else torch.as_tensor(inputs["image_grid_thw"]).reshape(-1, 3).tolist()
    perturbed = torch.empty_like(pixel_values)
    for number, rows in enumerate(layout.images(inputs)):
        grid = None if grids is None else grids[number]
        perturbed[rows] = PERTURBATIONS[kind].apply(pixel_values[rows], grid, layout, strength, seed_of(*key, number))
    return {**inputs, "pixel_values": perturbed}


def gaussian(patches: Tensor, grid: Grid, layout: PixelLayout, sigma: float, seed: int) -> Tensor:
    """Normalised pixels + N(0, sigma^2)."""
    return patches.float() + sigma * noise.normal(seed, patches.shape, patches.device)


def zero(patches: Tensor, grid: Grid, layout: PixelLayout, strength: float, seed: int) -> Tensor:
    """No image: every normalised pixel 0, the mean colour."""
    return torch.zeros_like(patches)


def diffusion(patches: Tensor, grid: Grid, layout: PixelLayout, step: float, seed: int) -> Tensor:
    """The forward process of a 1,000-step diffusion at ``step``, on pixels in [0, 1], cut off to that range."""
    pictures = layout.to_pictures(patches, grid)
    signal, sigma = diffusion_at(step)
    still = 1 if layout.tiled else layout.temporal_patch_size  # the copies of a still frame get the same noise
    shape = (pictures.shape[0] // still, *pictures.shape[1:])
    drawn = noise.normal(seed, shape, patches.device).repeat_interleave(still, dim=0)
    return layout.to_patches((signal * pictures + sigma * drawn).clamp(0, 1), grid)


def diffusion_at(step: float) -> tuple[float, float]:
    """(sqrt(alpha bar), sigma) at ``step`` of 0 to 999; sigma is 0.327 / 0.413 / 0.505 at 400 / 450 / 500."""
    betas = torch.linspace(-6, 6, 1000, dtype=torch.float64).sigmoid() * (5e-3 - 1e-5) + 1e-5
    kept = (1 - betas)[: round(step) + 1].prod().item()
    return math.sqrt(kept), math.sqrt(1 - kept)


def patch(patches: Tensor, grid: Grid, layout: PixelLayout, p: float, seed: int) -> Tensor:
    """Each vision patch black with probability ``p``."""
    pictures = layout.to_pictures(patches, grid)
    size = layout.patch_size
    cells = [math.ceil(side / size) for side in pictures.shape[2:]]
    black = noise.uniform(seed, cells, patches.device) < p
    black = black.repeat_interleave(size, 0)[: pictures.shape[2]].repeat_interleave(size, 1)[:, : pictures.shape[3]]
    return layout.to_patches(pictures.masked_fill(black, 0.0), grid)


def blur(patches: Tensor, grid: Grid, layout: PixelLayout, sigma: float, seed: int) -> Tensor:
    """Gaussian blur of standard deviation ``sigma`` pixels; the border is repeated."""
    pictures = layout.to_pictures(patches, grid)
    radius = math.ceil(3 * sigma)
    if radius:
        offsets = torch.arange(-radius, radius + 1, device=patches.device)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = (kernel / kernel.sum()).repeat(3, 1)
        padded = torch.nn.functional.pad(pictures, (radius,) * 4, mode="replicate")
        padded = torch.nn.functional.conv2d(padded, kernel[:, None, :, None], groups=3)
        pictures = torch.nn.functional.conv2d(padded, kernel[:, None, None, :], groups=3)
    return layout.to_patches(pictures, grid)


def grey(patches: Tensor, grid: Grid, layout: PixelLayout, share: float, seed: int) -> Tensor:
    """Colours mixed with their luma (ITU-R BT.601): 0 is the image, 1 its greyscale."""
    pictures = layout.to_pictures(patches, grid)
    luma = (pictures * torch.tensor([0.299, 0.587, 0.114], device=patches.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return layout.to_patches(torch.lerp(pictures, luma.expand_as(pictures), share), grid)


@dataclass(frozen=True)
class Kind:
    """A perturbation of one image's rows, with its default strength, the range of it, and its unit."""

    apply: Callable[[Tensor, Grid, PixelLayout, float, int], Tensor]
    default: float
    range: tuple[float, float]
    unit: str


PERTURBATIONS = {
    "gaussian": Kind(gaussian, 2.0, (0.0, math.inf), "a standard deviation of normalised pixels"),
    "zero": Kind(zero, 1.0, (1.0, 1.0), "nothing else than 1"),
    "diffusion": Kind(diffusion, 500.0, (0.0, 999.0), "a diffusion step"),
    "patch": Kind(patch, 0.6, (0.0, 1.0), "a probability"),
    "blur": Kind(blur, 8.0, (0.0, 1000.0), "a standard deviation in pixels"),
    "grey": Kind(grey, 1.0, (0.0, 1.0), "a share"),
}
