"""What a run on GPUs needs of the installation it starts from, and verl finds missing only in a Ray worker."""

from __future__ import annotations

from importlib.util import find_spec

from omegaconf import DictConfig, OmegaConf

from verl_plugins.preflight.model import model_type

FLASH_ATTN = "2.8.3"  # what verl 0.9.1 pins for torch 2.11 and CUDA 13; 2.8.3.post2 builds the same with its repairs
INSTALL_FLASH_ATTN = (  # without isolation it builds against the torch that is there, with tools that must be, too
    "pip install ninja packaging psutil setuptools wheel && pip install --no-build-isolation flash-attn==2.8.3.post2"
)
ATTENTION = "actor_rollout_ref.model.override_config.attn_implementation"
WITHOUT_FLASH_ATTN = f"+{ATTENTION}=sdpa actor_rollout_ref.model.use_remove_padding=false"


def check_installation(config: DictConfig) -> list[str]:
    """Whether FlashAttention is there for a run that computes attention with it, as verl does by default."""
    model = config.actor_rollout_ref.model
    implementation = OmegaConf.select(config, ATTENTION) or "flash_attention_2"
    # verl replaces the attention of packed rows in these two families, whatever the implementation
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
