"""Checks of verl's fused kernels, which replace a model's forward; where they fail, they fail in the first step."""

from __future__ import annotations

import json
import re
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_plugins.preflight.model import model_type

KEY = "actor_rollout_ref.model.use_fused_kernels"


def check_fused_kernels(config: DictConfig) -> list[str]:
    """Check that verl's fused forward of the run's model sees the images, and gets the whole output projection."""
    model = config.actor_rollout_ref.model
    if not model.get("use_fused_kernels"):
        return []
    family, path = model_type(str(model.path)), str(model.path)
    if family == "internvl":
        return [f"{KEY}: got true, expected false (verl's fused forward of InternVL ignores the images); set {KEY}"]
    # FSDP2 shards an output projection of its own; these forwards of verl 0.9.1 read its weight without gathering it
    backend = OmegaConf.select(config, "actor_rollout_ref.model.fused_kernel_options.impl_backend")
    reads_shards = family in ("qwen2_vl", "qwen2_5_vl") or (family == "qwen3_vl" and backend == "triton")
    strategy = "actor_rollout_ref.actor.strategy"
    if OmegaConf.select(config, strategy) == "fsdp2" and reads_shards and not has_tied_embeddings(path):
        return [
            f"{KEY}: got true, expected false on FSDP2 for a model whose lm_head is not tied to its embeddings (verl "
            f"0.9.1's fused forward of it fails: mixed torch.Tensor and DTensor); set {KEY}, or {strategy}=fsdp"
        ]
    return []


def has_tied_embeddings(path: str) -> bool:
    """Tell whether a Qwen-VL's output projection is its embedding: by its folder's config, or its size on the Hub."""
    config = Path(path).expanduser() / "config.json"
    if not config.is_file():
        return re.search(r"(?<!\d)[234]b", path.lower()) is not None
    values = json.loads(config.read_text())
    return bool(values.get("tie_word_embeddings", values.get("text_config", {}).get("tie_word_embeddings", False)))
