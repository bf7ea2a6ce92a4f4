"""Checks of the installation for a run on GPUs, which verl would miss only in a Ray worker, or not at all."""

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
FLA = "0.5.2"
"""Version of flash-linear-attention that verl 0.9.1's extra ``fsdp`` pins."""

INSTALL_FLA = f"pip install flash-linear-attention=={FLA}"
ATTENTION = "actor_rollout_ref.model.override_config.attn_implementation"
WITHOUT_FLASH_ATTN = f"+{ATTENTION}=sdpa actor_rollout_ref.model.use_remove_padding=false"


def check_installation(config: DictConfig) -> list[str]:
    """Check that the kernels of a run on GPUs are installed."""
    if config.trainer.device != "cuda":
        return []
    return [*_check_flash_attn(config), *_check_linear_attention(config)]


def _check_linear_attention(config: DictConfig) -> list[str]:
    """Check for the kernels of Qwen3.5's linear attention. Without them Transformers computes it, with no more than a
    warning, by a loop over chunks in float32."""
    path = str(config.actor_rollout_ref.model.path)
    if model_type(path) != "qwen3_5" or find_spec("fla"):
        return []
    return [
        f"actor_rollout_ref.model.path: got {path} and no flash-linear-attention installed, expected "
        f"flash-linear-attention {FLA}, the kernels of its linear attention; install it by `{INSTALL_FLA}`"
    ]


def uses_flash_attn(config: DictConfig) -> bool:
    """Tell whether a run computes attention with FlashAttention, as verl does on GPUs unless told otherwise."""
    implementation = OmegaConf.select(config, ATTENTION) or "flash_attention_2"
    return config.trainer.device == "cuda" and (implementation == "flash_attention_2" or _is_replaced(config))


def _is_replaced(config: DictConfig) -> bool:
    """Tell whether verl replaces the attention of packed rows, as in two families, whatever the implementation."""
    model = config.actor_rollout_ref.model
    return bool(model.use_remove_padding) and model_type(str(model.path)) in ("qwen2_vl", "qwen2_5_vl")


def _check_flash_attn(config: DictConfig) -> list[str]:
    """Check for FlashAttention if the run uses it."""
    if find_spec("flash_attn") or not uses_flash_attn(config):
        return []
    implementation = OmegaConf.select(config, ATTENTION) or "flash_attention_2"
    replaced = _is_replaced(config)
    key, got = (ATTENTION, implementation) if not replaced else ("actor_rollout_ref.model.use_remove_padding", "true")
    return [
        f"{key}: got {got} and no flash-attn installed, expected flash-attn {FLASH_ATTN}; install it by "
        f"`{INSTALL_FLASH_ATTN}`, or set {WITHOUT_FLASH_ATTN}"
    ]
