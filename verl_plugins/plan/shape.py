"""Sizes of a model, read from its config without its weights, as the memory formulas need them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import Any

from verl_plugins.plan.linear_attention import LinearAttention, linear_attention_of
from verl_plugins.plan.models import CONFIGS

VISION_PARTS = {"visual", "vision_tower"}  # Transformers' names of a vision tower
HUB_NAME = r"[\w.-]+/[\w.-]+"
PATH = "actor_rollout_ref.model.path"


@dataclass(frozen=True)
class Layers:
    """A stack of transformer layers that differ at most in their attention.

    Args:
        count: number of layers.
        hidden, intermediate: widths of the residual stream and of the feed-forward.
        query, key: widths of all query heads and of all key heads together.
        key_heads: number of key heads.
        is_gated: whether the feed-forward has a gate (SwiGLU), and the norms are RMSNorms; else they are LayerNorms.
        has_head_norms: whether queries and keys are normalised head by head.
        has_one_projection: whether queries, keys and values are views of one projection.
        repeats_keys: whether verl's forward repeats keys and values for every query head before attention.
        parameters: number of parameters of one layer, the largest.
        has_gated_output: whether softmax attention multiplies its output by a gate.
        linear: the layers with linear attention; None if all have softmax attention.
    """

    count: int
    hidden: int
    intermediate: int
    query: int
    key: int
    key_heads: int
    is_gated: bool
    has_head_norms: bool
    has_one_projection: bool
    repeats_keys: bool
    parameters: int
    has_gated_output: bool = False
    linear: LinearAttention | None = None

    @property
    def heads(self) -> int:
        """Number of query heads."""
        return self.query * self.key_heads // self.key

    @property
    def cached(self) -> int:
        """Number of layers with keys and values in vLLM's cache."""
        return self.count - (self.linear.count if self.linear else 0)


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a vision-language model.

    Args:
        text, vision: layers of the language model and of the vision tower.
        vocabulary: rows of the output projection.
        is_tied: whether embedding and output projection are tied.
        parameters, vision_parameters: number of parameters of the whole model and of its vision tower.
        longest: longest sequence that the model supports, in tokens.
        patch: side of a vision patch, in pixels.
        frames: number of frames that the processor makes of one image, all of them in pixel_values.
        patches_per_token: number of vision patches per token of the language model.
        mergers: number of networks that map the tower's states to tokens: one, plus one for each deepstack layer.
        tile_tokens: tokens of an image tile, for models that split images into tiles; otherwise 0.
        adapted_sides: sum over the linear layers of the language model of inputs + outputs, the number of parameters of
            a LoRA adapter of rank 1.
    """

    text: Layers
    vision: Layers
    vocabulary: int
    is_tied: bool
    parameters: int
    vision_parameters: int
    longest: int
    patch: int
    frames: int
    patches_per_token: int
    mergers: int
    tile_tokens: int
    adapted_sides: int


def shape_of(model: str) -> ModelShape:
    """Read the shape of a model: a name in CONFIGS, a folder with a ``config.json``, or a name in the Hub's cache.

    Nothing is downloaded.

    Raises:
        ValueError: the model is none of them, or of a family that the formulas do not know.
    """
    from huggingface_hub import try_to_load_from_cache
    from transformers import AutoConfig

    if model in CONFIGS:
        model_type, sizes = CONFIGS[model]
        return shape_of_config(AutoConfig.for_model(model_type, **sizes))
    folder = Path(model).expanduser()
    if not (folder / "config.json").is_file():
        cached = try_to_load_from_cache(model, "config.json") if fullmatch(HUB_NAME, model) else None
        if not isinstance(cached, str):
            raise ValueError(
                f"model: got {model}, expected a folder with a config.json, a model in the Hub's cache, or one of "
                f"{', '.join(CONFIGS)}; set {PATH} (in a recipe: MODEL_PATH)"
            )
        folder = Path(cached).parent
    config = AutoConfig.from_pretrained(folder)
    families = sorted({family for family, _ in CONFIGS.values()})
    if config.model_type not in families:
        raise ValueError(
            f"model: got {model}, whose model_type is {config.model_type}, expected one of {', '.join(families)}, "
            f"whose memory the planner knows; set {PATH} (in a recipe: MODEL_PATH)"
        )
    return shape_of_config(config)


def shape_of_config(config: Any) -> ModelShape:
    """Read the shape from a Transformers config with a ``text_config`` and a ``vision_config``."""
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    text, vision = config.get_text_config(), config.vision_config
    towers = [parameter for name, parameter in model.named_parameters() if VISION_PARTS & set(name.split("."))]
    linears = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not {"lm_head", *VISION_PARTS} & set(name.split("."))
    ]
    merge = getattr(vision, "spatial_merge_size", None)
    return ModelShape(
        text=_layers(text, model, is_vision=False),
        vision=_layers(vision, model, is_vision=True),
        vocabulary=text.vocab_size,
        is_tied=bool(config.tie_word_embeddings),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        vision_parameters=sum(parameter.numel() for parameter in towers),
        longest=getattr(config, "max_position_embeddings", None) or text.max_position_embeddings,
        patch=vision.patch_size if merge else vision.patch_size[0],
        frames=getattr(vision, "temporal_patch_size", 1),
        patches_per_token=merge**2 if merge else round(config.downsample_ratio**-2),
        mergers=1 + len(getattr(vision, "deepstack_visual_indexes", ())),
        tile_tokens=0 if merge else config.image_seq_length,
        adapted_sides=sum(linear.in_features + linear.out_features for linear in linears),
    )


def _layers(config: Any, model: Any, is_vision: bool) -> Layers:
    heads = getattr(config, "num_attention_heads", None) or config.num_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    count = getattr(config, "num_hidden_layers", None) or config.depth
    names = ("blocks", "layer") if is_vision else ("layers",)
    stacks = (m for name, m in model.named_modules() if name.rpartition(".")[2] in names and len(list(m)) == count)
    stack = next(stacks)
    modules = [module for layer in stack for module in layer.named_modules()]
    classes = {name.rpartition(".")[2]: type(module).__name__ for name, module in modules}
    linear = None if is_vision else linear_attention_of(config)
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    return Layers(
        count=count,
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        query=heads * head,
        key=key_heads * head,
        key_heads=key_heads,
        is_gated="gate_proj" in classes,
        has_head_norms=classes.get("q_norm", "Identity") != "Identity",
        has_one_projection="qkv" in classes,
        repeats_keys="qwen2_5_vl" in config.model_type,  # verl/models/transformers/qwen2_vl.py
        parameters=max(sum(parameter.numel() for parameter in layer.parameters()) for layer in stack),
        has_gated_output=linear is not None,  # in Qwen3.5 and Qwen3-Next both come together
        linear=linear,
    )
