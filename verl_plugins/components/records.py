"""Records of a few training steps for the report: JSON lines below ``trainer.record_dir``."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from data_prep.atomic import write_atomically
from verl_plugins.vision.layout import PixelLayout

PICTURES = 8
"""Number of a step's records that are written with their images."""


class Recorder:
    """Writes ``<kind>/<step>.jsonl`` for the first, every ``trainer.test_freq``-th and the last step."""

    def __init__(self, config: DictConfig):
        self.folder = config.trainer.get("record_dir")
        self.test_freq = config.trainer.test_freq

    def wants(self, step: int, total_steps: int) -> bool:
        """Tell whether ``step`` (from 1) is recorded."""
        if not self.folder:
            return False
        return step in (1, total_steps) or (self.test_freq > 0 and step % self.test_freq == 0)

    def write(self, kind: str, step: int, records: list[dict]) -> None:
        """Write a step's file, whole or not at all."""
        path = Path(self.folder) / kind / f"{step}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "".join(json.dumps(record) + "\n" for record in records))


def picture(inputs: Mapping[str, Any], layout: PixelLayout) -> str | None:
    """Encode the first image of a sample's processor output as a base64 PNG; values outside [0, 1] are clipped."""
    if inputs.get("pixel_values") is None:
        return None
    rows = layout.images(inputs)[0]
    grid = None if layout.tiled else torch.as_tensor(inputs["image_grid_thw"]).reshape(-1, 3)[0].tolist()
    return png(layout.to_pictures(inputs["pixel_values"][rows], grid)[0].clamp(0, 1).mul(255).round().byte())


def png(pixels: Tensor) -> str:
    """Encode an image (3, H, W) uint8 as a base64 PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
