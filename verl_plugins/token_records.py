"""What VEPO selected, token by token, written for the report: ``tokens/<step>.jsonl`` in ``trainer.record_dir``."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from verl_plugins.vision.layout import PixelLayout

ROWS = 64  # responses of a step that are written
PICTURES = 8  # of them with their images


def token_records(
    tokenizer: Any,
    responses: list[Tensor],
    prompts: list[Tensor],
    signals: Mapping[str, Tensor],
    rewards: Tensor,
    groups: Tensor,
) -> list[dict]:
    """One record a response.

    Args:
        tokenizer: decodes single tokens.
        responses, prompts: token ids of each row, without padding.
        signals: (B, T) each; "kept" is the weight of a token's advantage.
        rewards, groups: (B,).
    """
    records = []
    for row, response in enumerate(responses):
        length = len(response)
        numbers = {name: [round(x, 5) for x in values[row, :length].tolist()] for name, values in signals.items()}
        records.append(
            {
                "group": int(groups[row]),
                "prompt": tokenizer.decode(prompts[row], skip_special_tokens=True),
                "reward": round(float(rewards[row]), 5),
                "tokens": [tokenizer.decode([token]) for token in response.tolist()],
                **numbers,
            }
        )
    return records


def picture(inputs: Mapping[str, Any], layout: PixelLayout) -> str | None:
    """The first image of a sample's processor output as a base64 PNG; values outside [0, 1] are cut off."""
    if inputs.get("pixel_values") is None:
        return None
    rows = layout.images(inputs)[0]
    grid = None if layout.tiled else torch.as_tensor(inputs["image_grid_thw"]).reshape(-1, 3)[0].tolist()
    pixels = layout.to_pictures(inputs["pixel_values"][rows], grid)[0].clamp(0, 1).mul(255).round()
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).byte().numpy()).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def write_records(records: list[dict], path: Path) -> None:
    """Write ``path`` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    temporary.replace(path)
