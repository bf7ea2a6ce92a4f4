"""vLLM's own processing of an attacked image gives the attacked ``pixel_values``, bit for bit, for each family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_families import FAMILIES

from verl_plugins.methods.saei.maths import pgd_step
from verl_plugins.vision.pixels import check_invertible, to_pixel_values, to_pixels

QWEN = ("<|vision_start|><|image_pad|><|vision_end|>?", (90, 61))
SETTINGS = {"internvl3": {"crop_to_patches": False}}
PROMPTS = {"qwen2_5_vl": QWEN, "qwen3_vl": QWEN, "qwen3_5": QWEN, "internvl3": ("<IMG_CONTEXT>?", (300, 500))}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rollout_engine_sees_the_attacked_pixels(family, tmp_path):
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    config, processor = FAMILIES[family]()
    prompt, size = PROMPTS[family]
    config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    check_invertible(processor, SETTINGS.get(family))

    # the clean image as the actor has it, and the attack on it
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    clean_inputs = processor.image_processor([image], return_tensors="pt")
    (clean,) = to_pixels(clean_inputs["pixel_values"], clean_inputs.get("image_grid_thw"), processor)
    gradient = torch.from_numpy(rng.standard_normal(clean.shape))
    attacked = pgd_step(clean, gradient, clean, alpha=2, epsilon=2)
    assert (attacked != clean).float().mean() > 0.9
    expected = to_pixel_values([attacked], processor, SETTINGS.get(family))

    # the image as it is sent to the rollout engine, through the engine's own processor
    model = str(tmp_path)
    model_config = ModelConfig(model=model, tokenizer=model, dtype="float32", enforce_eager=True, max_model_len=1024)
    engine = MULTIMODAL_REGISTRY.create_processor(model_config)
    sent = Image.fromarray(attacked.permute(1, 2, 0).numpy())
    inputs = engine(prompt=prompt, mm_items=engine.info.parse_mm_data({"image": [sent]}))
    seen = inputs["mm_kwargs"].get_data()["pixel_values"]
    assert torch.equal(seen.reshape(expected.shape), expected)
    assert not torch.equal(seen.reshape(expected.shape), clean_inputs["pixel_values"])
