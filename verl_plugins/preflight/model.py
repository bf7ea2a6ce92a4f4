"""Checks of the model family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_plugins.config import AGENT_LOOP, IMAGE_LOOP, INTERNVL_CONFIG
from verl_plugins.plan.models import CONFIGS

FAMILIES = {
    "internvl": "internvl",
    "qwen2_5_vl": "qwen2_5_vl",
    "qwen2_vl": "qwen2_vl",
    "qwen3_vl": "qwen3_vl",
    "qwen3_5": "qwen3_5",
    "glm_4_1v": "glm4v",
}
"""What a family's models are called on the Hub, in lower case with underscores: Transformers' ``model_type``."""

UNTRAINABLE = {
    "glm4v": "GLM-4.1V, whose vision tower returns an object in Transformers 5 where verl 0.9.1 expects a tensor"
}
"""Families that verl itself cannot train with the supported Transformers, with the reason."""

THINKING = "data.apply_chat_template_kwargs.enable_thinking"


def check_model(config: DictConfig) -> list[str]:
    """Check what a family needs, and image processor settings that would have no effect."""
    problems = []
    model, loop = config.actor_rollout_ref.model, config.actor_rollout_ref.rollout.agent.get("default_agent_loop")
    family = model_type(str(model.path))
    if family in UNTRAINABLE:
        problems.append(
            f"actor_rollout_ref.model.path: got {UNTRAINABLE[family]}, expected a Qwen-VL, Qwen3.5 or InternVL3 (-hf) "
            "model; set actor_rollout_ref.model.path"
        )
    if family == "qwen3_5" and not isinstance(OmegaConf.select(config, THINKING), bool):
        problems.append(
            f"{THINKING}: got nothing, expected false or true (Qwen3.5's chat template ends a prompt with an open "
            "<think> unless it is false; a response then lacks the opening tag, which the rewards of this package "
            f"count as a wrong form); set +{THINKING}=false"
        )
    if family == "internvl":
        if model.get("_target_") != INTERNVL_CONFIG:
            problems.append(
                f"actor_rollout_ref.model._target_: got {model.get('_target_')}, expected {INTERNVL_CONFIG} (verl does "
                "not load InternVL's processor); set actor_rollout_ref.model._target_"
            )
        if loop not in (IMAGE_LOOP, AGENT_LOOP):
            problems.append(
                f"actor_rollout_ref.rollout.agent.default_agent_loop: got {loop}, expected {IMAGE_LOOP} or "
                f"{AGENT_LOOP} for InternVL; set actor_rollout_ref.rollout.agent.default_agent_loop"
            )
    given = {"min_pixels", "max_pixels"} & set(config.data.get("mm_processor_kwargs") or {})
    if len(given) == 1:
        problems.append(
            f"data.mm_processor_kwargs: got {given.pop()} alone, expected min_pixels and max_pixels (vLLM counts with "
            "one of them, Transformers resizes with both or neither); set data.mm_processor_kwargs"
        )
    return problems


def check_model_folder(config: DictConfig) -> list[str]:
    """Check that the ``config.json`` of a model folder is whole, from which the checks and verl learn the family."""
    file = _config_file(str(config.actor_rollout_ref.model.path))
    if not file.is_file():
        return []
    try:
        values = json.loads(file.read_text())
        problem = "" if isinstance(values, dict) else f"which holds a JSON {type(values).__name__}"
    except (ValueError, OSError) as error:
        problem = f"which cannot be read ({' '.join(str(error).split())})"
    if not problem:
        return []
    return [
        f"actor_rollout_ref.model.path: got {file}, {problem}, expected a model's whole config.json; copy the model "
        "again, or set actor_rollout_ref.model.path"
    ]


def attention_heads(path: str) -> int | None:
    """Return the attention heads of a model's language model: of a folder, or of the recipes' models; else None."""
    values = _folder_config(path) or CONFIGS.get(path, ("", {}))[1]
    return values.get("text_config", values).get("num_attention_heads")


def model_type(path: str) -> str:
    """Return Transformers' model type, from a folder's config or a Hub model's name; "" if unknown."""
    if values := _folder_config(path):
        return values.get("model_type", "")
    name = path.lower().replace("-", "_").replace(".", "_")
    return next((family for part, family in FAMILIES.items() if part in name), "")


def _config_file(path: str) -> Path:
    return Path(path).expanduser() / "config.json"


def _folder_config(path: str) -> dict[str, Any]:
    """Return the ``config.json`` of a model folder; {} if there is none, or check_model_folder reports it."""
    file = _config_file(path)
    try:
        values = json.loads(file.read_text()) if file.is_file() else {}
    except (ValueError, OSError):
        return {}
    return values if isinstance(values, dict) else {}
