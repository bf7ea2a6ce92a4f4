"""Checks of the model family."""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import DictConfig

from verl_plugins.config import AGENT_LOOP, IMAGE_LOOP, INTERNVL_CONFIG

FAMILIES = ("internvl", "qwen2_5_vl", "qwen2_vl", "qwen3_vl")  # Transformers' names of model types


def check_model(config: DictConfig) -> list[str]:
    """Check InternVL's model config, agent loop and kernels, and image processor settings that would have no effect."""
    problems = []
    model, loop = config.actor_rollout_ref.model, config.actor_rollout_ref.rollout.agent.get("default_agent_loop")
    if model_type(str(model.path)) == "internvl":
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
        if model.get("use_fused_kernels"):
            problems.append(
                "actor_rollout_ref.model.use_fused_kernels: got true, expected false (verl's fused forward of InternVL "
                "ignores the images); set actor_rollout_ref.model.use_fused_kernels"
            )
    given = {"min_pixels", "max_pixels"} & set(config.data.get("mm_processor_kwargs") or {})
    if len(given) == 1:
        problems.append(
            f"data.mm_processor_kwargs: got {given.pop()} alone, expected min_pixels and max_pixels (vLLM counts with "
            "one of them, Transformers resizes with both or neither); set data.mm_processor_kwargs"
        )
    return problems


def model_type(path: str) -> str:
    """Return Transformers' model type, from a folder's config or a Hub model's name; "" if unknown."""
    config = Path(path).expanduser() / "config.json"
    if config.is_file():
        return json.loads(config.read_text()).get("model_type", "")
    name = path.lower().replace("-", "_").replace(".", "_")
    return next((family for family in FAMILIES if family in name), "")
