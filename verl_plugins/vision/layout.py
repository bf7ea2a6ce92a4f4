"""Layout of an image in a processor's ``pixel_values``, and the conversion back to an image.

Two layouts cover the supported models. Qwen2.5-VL, Qwen3-VL and Qwen3.5 cut images into a list of flattened patches,
with the number of patches of each image in ``image_grid_thw``; InternVL3 cuts them into square tiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class PixelLayout:
    """Settings of an image processor that determine its ``pixel_values``.

    Args:
        mean, std: normalisation of pixels in [0, 1], one number per channel (RGB).
        patch_size: side of a vision patch in pixels.
        merge_size: patches merged along a side before the language model (Qwen layout).
        temporal_patch_size: frames per patch; a still image is repeated (Qwen layout).
        tiled: True for InternVL's (tiles, 3, height, width), False for Qwen's (patches, 3 * frames * patch * patch).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch_size: int
    merge_size: int = 1
    temporal_patch_size: int = 1
    tiled: bool = False

    def images(self, inputs: Mapping[str, Any]) -> list[slice]:
        """Find the rows of ``pixel_values`` that belong to each image (or tile) of one example.

        Args:
            inputs: the example's ``pixel_values``, and ``image_grid_thw`` unless ``tiled``.

        Raises:
            ValueError: the grid does not account for the rows.
        """
        rows = len(inputs["pixel_values"])
        if self.tiled:
            return [slice(tile, tile + 1) for tile in range(rows)]
        counts = torch.as_tensor(inputs["image_grid_thw"]).reshape(-1, 3).prod(dim=1).tolist()
        if sum(counts) != rows:
            raise ValueError(
                f"pixel_values: got {rows} patches, expected {sum(counts)} by image_grid_thw "
                f"{torch.as_tensor(inputs['image_grid_thw']).tolist()}; the images were resized after processing"
            )
        stops = torch.tensor(counts).cumsum(0).tolist()
        return [slice(stop - count, stop) for stop, count in zip(stops, counts, strict=True)]

    def to_pictures(self, patches: Tensor, grid: Sequence[int] | None = None) -> Tensor:
        """Convert one image's rows of ``pixel_values`` back to pixels.

        Args:
            patches: (n, 3 * frames * patch * patch), or (1, 3, height, width) if ``tiled``.
            grid: (temporal, height, width) in patches; not used if ``tiled``.

        Returns:
            (frames, 3, height, width) float32, nominally in [0, 1].
        """
        frames = self._unfold(patches, grid)
        return frames * self._column(self.std, frames) + self._column(self.mean, frames)

    def picture_gradient(self, gradient: Tensor, grid: Sequence[int] | None = None) -> Tensor:
        """Convert a gradient with respect to ``pixel_values`` to one with respect to the pixels in [0, 1].

        Args:
            gradient: for one still image's rows of ``pixel_values``, in their shape.
            grid: as for ``to_pictures``.

        Returns:
            (3, height, width) float32, summed over the equal frames.
        """
        frames = self._unfold(gradient, grid)
        return (frames / self._column(self.std, frames)).sum(dim=0)

    def to_patches(self, images: Tensor, grid: Sequence[int] | None = None) -> Tensor:
        """Invert ``to_pictures``; float32."""
        frames = (images - self._column(self.mean, images)) / self._column(self.std, images)
        if self.tiled:
            return frames
        assert grid is not None
        t, h, w = (int(n) for n in grid)
        _, rows, columns, merge, _, _, frame, patch, _ = self._split(t, h, w)
        frames = frames.reshape(t, frame, 3, rows, merge, patch, columns, merge, patch)
        return frames.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(t * h * w, -1)

    def _unfold(self, patches: Tensor, grid: Sequence[int] | None) -> Tensor:
        """Rearrange ``patches`` to (frames, 3, height, width) float32, without undoing the normalisation."""
        if self.tiled:
            return patches.float()
        assert grid is not None
        t, h, w = (int(n) for n in grid)
        frames = patches.float().reshape(self._split(t, h, w)).permute(0, 6, 5, 1, 3, 7, 2, 4, 8)
        return frames.reshape(t * self.temporal_patch_size, 3, h * self.patch_size, w * self.patch_size)

    def _split(self, t: int, h: int, w: int) -> tuple[int, ...]:
        merge, frame, patch = self.merge_size, self.temporal_patch_size, self.patch_size
        return t, h // merge, w // merge, merge, merge, 3, frame, patch, patch

    @staticmethod
    def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=like.device).view(1, -1, 1, 1)


def layout_of(processor: Any) -> PixelLayout:
    """Read the layout from a Hugging Face processor.

    Raises:
        ValueError: the processor's layout is not known.
    """
    images = getattr(processor, "image_processor", processor)
    name = type(images).__name__
    if name.startswith("Qwen2VL"):  # Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5
        sizes = images.patch_size, images.merge_size, images.temporal_patch_size
        return PixelLayout(tuple(images.image_mean), tuple(images.image_std), *sizes)
    if name.startswith("GotOcr2"):  # InternVL3-hf
        return PixelLayout(tuple(images.image_mean), tuple(images.image_std), patch_size=14, tiled=True)
    raise ValueError(
        f"image processor: got {name}, whose layout of pixel_values is not known, expected that of Qwen2.5-VL, "
        "Qwen3-VL, Qwen3.5 or InternVL3 (-hf); set actor_rollout_ref.model.path"
    )
