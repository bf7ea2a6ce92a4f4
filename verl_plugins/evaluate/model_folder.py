"""The model's folder: how it is found in a checkpoint, its hash, and the box space of its family."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reward_fns.boxes.spaces import SPACE_OF_MODEL

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_ADAPTER = "lora_adapter"  # where verl's merger puts what a LoRA run trained
_SAMPLES, _SAMPLE = 64, 4096  # number of samples of a weights file that are hashed, and bytes of each


def model_folder(path: Path) -> Path:
    """Find the folder with config.json and weights: the given one, or `huggingface` in an actor's checkpoint.

    Raises:
        SystemExit: there is no such folder, or a LoRA adapter lies beside its weights, which are then the base model's.
    """
    candidates = (path, path / "huggingface", path / "actor" / "huggingface")
    for folder in candidates:
        if (folder / "config.json").is_file() and weight_files(folder):
            if (folder / _ADAPTER).is_dir():
                raise SystemExit(
                    f"--model {folder}: got the base model's weights with a LoRA adapter in {_ADAPTER}, which would "
                    "not be evaluated, expected weights with the adapter folded in; fold it (recipes/README.md has the "
                    "command), then give --model FOLDED"
                )
            return folder
    if not path.is_dir():
        raise SystemExit(f"--model {path}: got no such folder, expected one with config.json and weights")
    shards = [each for each in (path, path / "actor") if list(each.glob("model_world_size_*_rank_*.pt"))]
    if shards:
        raise SystemExit(
            f"--model {path}: got a checkpoint of verl's FSDP shards without weights in its huggingface folder; merge "
            f"them: python -m verl.model_merger merge --backend fsdp --local_dir {shards[0]} --target_dir MERGED, then "
            "give --model MERGED (runs with actor.checkpoint.save_contents=[model,optimizer,extra,hf_model] need not)"
        )
    raise SystemExit(
        f"--model {path}: got a folder without config.json and weights (*.safetensors), expected both; give --model "
        "the folder that save_pretrained wrote"
    )


def weight_files(folder: Path) -> list[Path]:
    """Return the files of weights, in order of name."""
    return sorted(file for pattern in _WEIGHTS for file in folder.glob(pattern))


def model_config(folder: Path) -> dict[str, Any]:
    """Read config.json."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def model_sha256(folder: Path) -> str:
    """Hash every text file of the folder, and the size and evenly spaced samples of every file of weights.

    Training changes weights everywhere, so samples suffice to tell two checkpoints apart.
    """
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.iterdir() if file.suffix in (".json", ".jinja", ".txt", ".model")):
        digest.update(file.name.encode() + file.read_bytes())
    for file in weight_files(folder):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as content:
            for number in range(_SAMPLES):
                content.seek(max(0, size - _SAMPLE) * number // (_SAMPLES - 1))
                digest.update(content.read(_SAMPLE))
    return digest.hexdigest()


def box_settings(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the grounding reward's settings for the box space that the model's family was trained on.

    Args:
        folder: folder of the model.
        given: settings that the processor is called with, which override the saved ones.

    Raises:
        SystemExit: the box space of the family is not known, or its processor's settings cannot be found.
    """
    model_type = model_config(folder).get("model_type")
    space = SPACE_OF_MODEL.get(str(model_type))
    if space is None:
        raise SystemExit(
            f"--model {folder}: got the model_type {model_type!r}, whose box space is not known, expected one of "
            f"{', '.join(SPACE_OF_MODEL)}; set --reward grounding.box_space=pixels (or 0-1000, 0-1, processed)"
        )
    if space != "processed":
        return {"box_space": space}
    processor = _image_processor(folder)
    size = processor.get("size") or {}
    return {
        "box_space": space,
        "patch_size": processor["patch_size"],
        "merge_size": processor["merge_size"],
        "min_pixels": given.get("min_pixels") or processor.get("min_pixels") or size.get("shortest_edge"),
        "max_pixels": given.get("max_pixels") or processor.get("max_pixels") or size.get("longest_edge"),
    }


def _image_processor(folder: Path) -> dict[str, Any]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            settings = json.loads((folder / name).read_text(encoding="utf-8"))
            settings = settings.get("image_processor", settings)
            if settings.get("patch_size") and settings.get("merge_size"):
                return settings
    raise SystemExit(
        f"--model {folder}: got no preprocessor_config.json with patch_size and merge_size, expected that of the "
        "model's processor, which its box space needs; save the processor there, or set --reward grounding.box_space"
    )
