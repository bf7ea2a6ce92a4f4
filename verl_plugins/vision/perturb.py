"""Perturbations of processed images, which change the pixels and keep the grid.

Three strengths are in use for VEPO (arXiv 2606.03937): diffusion noise at step 500 in the paper; noise of sigma 2 on
normalised pixels, which the released code names (the default here); and sigma 2 sqrt(12) = 6.93, which it trains with,
because it adds the noise in place for each of 12 responses. PAPO and VPPO black out patches; NoisyRollout anneals
diffusion noise. Noise is keyed by (seed, step, row of the data set, image): the responses of one prompt share one
perturbed image, and a resumed or re-sharded run repeats it on any device. Noise is drawn on the device of the pixels,
because the host takes more than 100 ms for one image of a megapixel (benchmarks/speed/vepo_noise.py).
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
    """Kind and strength of a perturbation, and the decay of its strength over training.

    Args:
        kind: a name in PERTURBATIONS.
        strength: in the unit of the kind, see PERTURBATIONS; None for the kind's default.
        schedule: "constant", or "sigmoid", NoisyRollout's annealing (arXiv 2504.13055):
            strength * (1 - sigmoid(steepness (progress - midpoint))), from the full strength towards zero.
        midpoint: progress at which "sigmoid" has halved the strength. NoisyRollout's is 40 of 60 steps.
        steepness: of "sigmoid", per whole training; 30 is NoisyRollout's lambda.

    Raises:
        ValueError: an unknown kind or schedule, or a number out of its range. The message begins with the name of the
            knob: perturbation, schedule, strength, schedule_midpoint or schedule_steepness.
    """

    kind: str = "gaussian"
    strength: float | None = None
    schedule: str = "constant"
    midpoint: float = 0.5
    steepness: float = 30.0

    def __post_init__(self) -> None:
        if self.kind not in PERTURBATIONS:
            raise ValueError(f"perturbation: got {self.kind!r}, expected one of {', '.join(PERTURBATIONS)}")
        if self.schedule not in ("constant", "sigmoid"):
            raise ValueError(f"schedule: got {self.schedule!r}, expected constant or sigmoid")
        kind = PERTURBATIONS[self.kind]
        low, high = kind.range
        is_in_range = _is_number_in(self.strength, low, high) and (self.strength != 0 or kind.changes_at_0)
        if self.strength is not None and not is_in_range:
            numbers = f"{'[' if kind.changes_at_0 else '('}{low:g}, {high:g}]"
            nothing = "" if kind.changes_at_0 else " (0 changes no image)"
            expected = f"{kind.unit} in {numbers} for {self.kind}{nothing}, or null"
            raise ValueError(f"strength: got {self.strength!r}, expected {expected}")
        if not _is_number_in(self.midpoint, 0, 1):
            raise ValueError(f"schedule_midpoint: got {self.midpoint!r}, expected a share of training in [0, 1]")
        if not _is_number_in(self.steepness, 0, 500):
            raise ValueError(f"schedule_steepness: got {self.steepness!r}, expected a number in [0, 500]")

    def knobs(self) -> dict[str, str | float]:
        """Return what determines the perturbation, by the name of the knob, with the default for a strength of None."""
        strength = PERTURBATIONS[self.kind].default if self.strength is None else self.strength
        knobs = {"perturbation": self.kind, "strength": strength, "schedule": self.schedule}
        if self.schedule == "constant":
            return knobs
        return knobs | {"schedule_midpoint": self.midpoint, "schedule_steepness": self.steepness}

    def strength_at(self, progress: float) -> float:
        """Strength at ``progress`` in [0, 1] of training."""
        strength = PERTURBATIONS[self.kind].default if self.strength is None else self.strength
        if self.schedule == "constant":
            return strength
        return strength / (1.0 + math.exp(self.steepness * (progress - self.midpoint)))


def _is_number_in(value: Any, low: float, high: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and low <= value <= high


def perturb(
    inputs: Mapping[str, Any], layout: PixelLayout, kind: str, strength: float, key: tuple[int | str, ...]
) -> dict[str, Any]:
    """Perturb every image in one example's processor output.

    Args:
        inputs: ``pixel_values`` in ``layout``, and ``image_grid_thw`` unless the layout is tiled; not modified.
        layout: layout of the model's processor.
        kind: a name in PERTURBATIONS.
        strength: in the unit of the kind.
        key: determines the randomness, e.g. (seed, step, row); the index of the image is appended to it.

    Returns:
        A copy of ``inputs`` with new ``pixel_values`` of the same shape and dtype.

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
    """Add N(0, sigma^2) to the normalised pixels."""
    return patches.float() + sigma * noise.normal(seed, patches.shape, patches.device)


def gaussian_pixels(patches: Tensor, grid: Grid, layout: PixelLayout, levels: float, seed: int) -> Tensor:
    """Add N(0, (levels / 255)^2) to the pixels in [0, 1]: ``gaussian`` with a sigma that no normalisation changes.

    As in ``gaussian``, nothing is clamped, and the copies of a still image get noise of their own.
    """
    images = layout.to_pictures(patches, grid)
    return layout.to_patches(images + levels / 255 * noise.normal(seed, images.shape, patches.device), grid)


def zero(patches: Tensor, grid: Grid, layout: PixelLayout, strength: float, seed: int) -> Tensor:
    """Remove the image: set every normalised pixel to 0, the mean colour."""
    return torch.zeros_like(patches)


def diffusion(patches: Tensor, grid: Grid, layout: PixelLayout, step: float, seed: int) -> Tensor:
    """Apply the forward process of a 1,000-step diffusion at ``step`` to pixels in [0, 1], and clamp to that range."""
    copies = 1 if layout.tiled else layout.temporal_patch_size
    return layout.to_patches(diffuse(layout.to_pictures(patches, grid), step, seed, copies), grid)


def diffuse(pictures: Tensor, step: float, seed: int, copies: int = 1) -> Tensor:
    """Apply the forward process of a diffusion at ``step`` to pictures, and clamp to [0, 1].

    Args:
        pictures: (n, 3, H, W) float, pixels in [0, 1].
        step: of ``diffusion_at``.
        seed: of the noise.
        copies: number of consecutive pictures that get the same noise, the copies of a still image.
    """
    signal, sigma = diffusion_at(step)
    drawn = noise.normal(seed, (len(pictures) // copies, *pictures.shape[1:]), pictures.device)
    return (signal * pictures + sigma * drawn.repeat_interleave(copies, dim=0)).clamp(0, 1)


def diffusion_at(step: float) -> tuple[float, float]:
    """Scales (sqrt(alpha bar), sigma) of signal and noise at ``step`` of 0 to 999.

    sigma is 0.327 / 0.413 / 0.505 at step 400 / 450 / 500.
    """
    betas = torch.linspace(-6, 6, 1000, dtype=torch.float64).sigmoid() * (5e-3 - 1e-5) + 1e-5
    kept = (1 - betas)[: round(step) + 1].prod().item()
    return math.sqrt(kept), math.sqrt(1 - kept)


def patch(patches: Tensor, grid: Grid, layout: PixelLayout, p: float, seed: int) -> Tensor:
    """Black out each vision patch with probability ``p``."""
    images = layout.to_pictures(patches, grid)
    size = layout.patch_size
    cells = [math.ceil(side / size) for side in images.shape[2:]]
    black = noise.uniform(seed, cells, patches.device) < p
    black = black.repeat_interleave(size, 0)[: images.shape[2]].repeat_interleave(size, 1)[:, : images.shape[3]]
    return layout.to_patches(images.masked_fill(black, 0.0), grid)


def blur(patches: Tensor, grid: Grid, layout: PixelLayout, sigma: float, seed: int) -> Tensor:
    """Blur with a Gaussian of standard deviation ``sigma`` pixels; the border is repeated."""
    images = layout.to_pictures(patches, grid)
    radius = math.ceil(3 * sigma)
    if radius:
        offsets = torch.arange(-radius, radius + 1, device=patches.device)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = (kernel / kernel.sum()).repeat(3, 1)
        padded = torch.nn.functional.pad(images, (radius,) * 4, mode="replicate")
        padded = torch.nn.functional.conv2d(padded, kernel[:, None, :, None], groups=3)
        images = torch.nn.functional.conv2d(padded, kernel[:, None, None, :], groups=3)
    return layout.to_patches(images, grid)


def grey(patches: Tensor, grid: Grid, layout: PixelLayout, share: float, seed: int) -> Tensor:
    """Mix the colours with their luma (ITU-R BT.601): share 0 keeps the image, share 1 makes it grey."""
    images = layout.to_pictures(patches, grid)
    luma = (images * torch.tensor([0.299, 0.587, 0.114], device=patches.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return layout.to_patches(torch.lerp(images, luma.expand_as(images), share), grid)


@dataclass(frozen=True)
class Kind:
    """A perturbation of one image's rows, with the default, range and unit of its strength, and what 0 means to it."""

    apply: Callable[[Tensor, Grid, PixelLayout, float, int], Tensor]
    default: float
    range: tuple[float, float]
    unit: str
    changes_at_0: bool = False  # whether it changes an image even at strength 0


PERTURBATIONS = {
    "gaussian": Kind(gaussian, 2.0, (0.0, math.inf), "a standard deviation of normalised pixels"),
    "gaussian_pixels": Kind(gaussian_pixels, 137.0, (0.0, math.inf), "a standard deviation in 8-bit levels"),
    "zero": Kind(zero, 1.0, (1.0, 1.0), "nothing else than 1", True),
    "diffusion": Kind(diffusion, 500.0, (0.0, 999.0), "a diffusion step", True),
    "patch": Kind(patch, 0.6, (0.0, 1.0), "a probability"),
    "blur": Kind(blur, 8.0, (0.0, 1000.0), "a standard deviation in pixels"),
    "grey": Kind(grey, 1.0, (0.0, 1.0), "a share"),
}
