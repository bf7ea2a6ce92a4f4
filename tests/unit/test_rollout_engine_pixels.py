"""vLLM's own processing of an attacked picture gives the attacked ``pixel_values``, bit for bit, for each family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLProcessor,
)
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_config, build_processor
from verl_plugins.vision.attack import pgd_step
from verl_plugins.vision.pixels import check_invertible, to_pixel_values, to_pixels

TINY = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def qwen2_5_vl():
    processor = build_processor(TASKS["grounding"])
    config = build_config(processor.tokenizer)
    config.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    return config, processor, "<|vision_start|><|image_pad|><|vision_end|>?", (90, 61)


def qwen3_vl():
    base = build_processor(TASKS["grounding"])
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]}
    vision = {"depth": 1, "num_heads": 2, "patch_size": 16, "out_hidden_size": 64, "deepstack_visual_indexes": [0]}
    config = Qwen3VLConfig(
        text_config={**TINY, "vocab_size": len(base.tokenizer), "head_dim": 32, "rope_parameters": rope},
        vision_config={**vision, "hidden_size": 64, "intermediate_size": 64, "num_position_embeddings": 64},
        **{name: base.tokenizer.convert_tokens_to_ids(token) for name, token in names.items()},
    )
    config.architectures = ["Qwen3VLForConditionalGeneration"]
    sizes = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2, "min_pixels": 32**2, "max_pixels": 300**2}
    sizes |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=base.tokenizer,
        video_processor=Qwen3VLVideoProcessor(**sizes),
        chat_template=base.chat_template,
    )
    return config, processor, "<|vision_start|><|image_pad|><|vision_end|>?", (90, 61)


def internvl3():
    names = {"start_image_token": "<img>", "end_image_token": "</img>"}
    names |= {"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=build_processor(TASKS["grounding"]).tokenizer.backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=names,
    )
    vision = {
        key: TINY[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    }
    config = InternVLConfig(
        text_config={**TINY, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={**vision, "image_size": [448, 448], "patch_size": [14, 14]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
    )
    config.architectures = ["InternVLForConditionalGeneration"]
    size = {"height": 448, "width": 448}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=False),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=256,
    )
    return config, processor, "<IMG_CONTEXT>?", (300, 500)


@pytest.mark.parametrize("family", [qwen2_5_vl, qwen3_vl, internvl3])
def test_the_rollout_engine_sees_the_attacked_pixels(family, tmp_path):
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    config, processor, prompt, size = family()
    config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    check_invertible(processor)

    # what the actor has of the clean picture, and the attack on it
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    made = processor.image_processor([image], return_tensors="pt")
    (clean,) = to_pixels(made["pixel_values"], made.get("image_grid_thw"), processor)
    gradient = torch.from_numpy(rng.standard_normal(clean.shape))
    attacked = pgd_step(clean, gradient, clean, alpha=2, epsilon=2)
    assert (attacked != clean).float().mean() > 0.9
    wanted = to_pixel_values([attacked], processor)

    # the picture as it is sent to the rollout engine, through the engine's own processor
    model = str(tmp_path)
    model_config = ModelConfig(model=model, tokenizer=model, dtype="float32", enforce_eager=True, max_model_len=1024)
    engine = MULTIMODAL_REGISTRY.create_processor(model_config)
    sent = Image.fromarray(attacked.permute(1, 2, 0).numpy())
    inputs = engine(prompt=prompt, mm_items=engine.info.parse_mm_data({"image": [sent]}))
    seen = inputs["mm_kwargs"].get_data()["pixel_values"]
    assert torch.equal(seen.reshape(wanted.shape), wanted)
    assert not torch.equal(seen.reshape(wanted.shape), made["pixel_values"])
