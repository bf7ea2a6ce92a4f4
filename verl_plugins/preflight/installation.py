"""Checks of the installation for a run on GPUs, which verl would only miss in a Ray worker."""

from __future__ import annotations

from importlib.util import find_spec

from omegaconf import DictConfig, OmegaConf

from verl_plugins.preflight.model import model_type

FLASH_ATTN = "2.8.3"
"""Version that verl 0.9.1 pins for torch 2.11 and CUDA 13; 2.8.3.post2 is the same code with a repaired build."""

# without isolation it builds against the installed torch, with installed tools
INSTALL_FLASH_ATTN = (
    "pip install ninja packaging psutil setuptools wheel && pip install --no-build-isolation flash-attn==2.8.3.post2"
)
ATTENTION = "actor_rollout_ref.model.override_config.attn_implementation"
WITHOUT_FLASH_ATTN = f"+{ATTENTION}=sdpa actor_rollout_ref.model.use_remove_padding=false"


def check_installation(config: DictConfig) -> list[str]:
    """Check that FlashAttention is installed if the run computes attention with it, as verl does by default."""
    model = config.actor_rollout_ref.model
    implementation = OmegaConf.select(config, ATTENTION) or "flash_attention_2"
    # in these two families verl replaces the attention of packed rows, whatever the implementation
    replaced = bool(model.use_remove_padding) and model_type(str(model.path)) in ("qwen2_vl", "qwen2_5_vl")
    if config.trainer.device != "cuda" or find_spec("flash_attn"):
        return []
    if implementation != "flash_attention_2" and not replaced:
        return []
    key, got = (ATTENTION, implementation) if not replaced else ("actor_rollout_ref.model.use_remove_padding", "true")
    return [
        f"{key}: got {got} and no flash-attn installed, expected flash-attn {FLASH_ATTN}; install it by "
        f"`{INSTALL_FLASH_ATTN}`, or set {WITHOUT_FLASH_ATTN}"
    ]
