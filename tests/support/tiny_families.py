"""Tiny random models of the families that recipes name, with their processors: for tests of what a family changes.

Tokenizer and chat template are the demo's, so any of them trains on its data; sizes are the least that vLLM's CPU
attention takes (heads of 32).
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AutoModelForImageTextToText,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3_5Config,
    Qwen3VLConfig,
    Qwen3VLProcessor,
)
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_config, build_processor

TINY = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
QWEN3_VISION = {
    "depth": 2,
    "num_heads": 2,
    "patch_size": 16,
    "out_hidden_size": 64,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_position_embeddings": 64,
}


def qwen2_5_vl():
    processor = build_processor(TASKS["grounding"])
    config = build_config(processor.tokenizer)
    config.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    return config, processor


def qwen3_vl():
    processor = _qwen3_processor()
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config={**TINY, "vocab_size": len(processor.tokenizer), "head_dim": 32, "rope_parameters": rope},
        vision_config={**QWEN3_VISION, "deepstack_visual_indexes": [0]},
        **_qwen_tokens(processor.tokenizer),
    )
    config.architectures = ["Qwen3VLForConditionalGeneration"]
    return config, processor


def qwen3_5():
    """Three layers of linear attention and one of full attention, as in each block of the published models."""
    processor = _qwen3_processor()
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    linear = {"linear_num_key_heads": 1, "linear_num_value_heads": 2}
    linear |= {"linear_key_head_dim": 32, "linear_value_head_dim": 32}
    config = Qwen3_5Config(
        text_config={
            **TINY,
            **linear,
            "num_hidden_layers": 4,
            "mamba_ssm_dtype": "float32",  # of vLLM's states, as in the published configs
            "vocab_size": len(processor.tokenizer),
            "head_dim": 32,
            "rope_parameters": {**rope, "partial_rotary_factor": 0.25},  # vLLM reads no other
        },
        vision_config=QWEN3_VISION,
        **_qwen_tokens(processor.tokenizer),
    )
    config.architectures = ["Qwen3_5ForConditionalGeneration"]
    return config, processor


def _qwen_tokens(tokenizer):
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def _qwen3_processor():
    """The processor of both Qwen3-VL and Qwen3.5."""
    base = build_processor(TASKS["grounding"])
    sizes = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2, "min_pixels": 32**2, "max_pixels": 300**2}
    sizes |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=base.tokenizer,
        video_processor=Qwen3VLVideoProcessor(**sizes),
        chat_template=base.chat_template,
    )


def internvl3():
    base = build_processor(TASKS["grounding"])
    names = {"start_image_token": "<img>", "end_image_token": "</img>"}
    names |= {"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
    template = base.chat_template.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>\\n")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base.tokenizer.backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=names,
        chat_template=template,
    )
    vision = {
        key: TINY[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    }
    config = InternVLConfig(
        text_config={**TINY, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={**vision, "image_size": [112, 112], "patch_size": [14, 14]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=16,
    )
    config.architectures = ["InternVLForConditionalGeneration"]
    size = {"height": 112, "width": 112}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=False),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=16,
        chat_template=template,
    )
    return config, processor


FAMILIES = {"qwen2_5_vl": qwen2_5_vl, "qwen3_vl": qwen3_vl, "qwen3_5": qwen3_5, "internvl3": internvl3}
PROCESSORS = {name: family()[1] for name, family in FAMILIES.items()}


_SIZES = "+data.mm_processor_kwargs={min_pixels:102400,max_pixels:200704}"  # more than the processor's own limit
OVERRIDES = {
    "qwen2_5_vl": [],
    "qwen3_vl": [_SIZES],
    "qwen3_5": [
        _SIZES,
        "+data.apply_chat_template_kwargs.enable_thinking=false",
        "actor_rollout_ref.rollout.dtype=bfloat16",  # vLLM's linear attention on a CPU takes no other
        "actor_rollout_ref.rollout.enable_prefix_caching=false",
    ],
    "internvl3": [
        "actor_rollout_ref.model._target_=verl_plugins.internvl.InternVLModelConfig",
        "+data.mm_processor_kwargs.crop_to_patches=false",
    ],
}
"""What a run of the family needs besides its model."""


def build(family: str, path: Path) -> None:
    """Write a model of random float32 weights, the same each time, with its processor."""
    config, processor = FAMILIES[family]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(path)
    processor.save_pretrained(path)
