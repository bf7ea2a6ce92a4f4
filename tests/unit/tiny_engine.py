"""The engine around the demo's tiny model, untrained, and rows with random responses."""

from __future__ import annotations

from io import BytesIO

import torch
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration

from data_prep.shapes import make_row
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_config, build_processor
from verl_plugins.engine.bare import Row, bare_engine, worker_batch


def build_engine(sharpness=20):
    processor = build_processor(TASKS["grounding"])
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(build_config(processor.tokenizer)).float().eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(sharpness)  # a random model hardly looks at its image
    return bare_engine(model, processor, micro_batch_size=3)


def micro_batch(processor, with_image, lengths, temperature=1.0, index=lambda number: number // 2):
    """Two responses to each prompt, as verl's workers get them, and the same rows one by one."""
    generator = torch.Generator().manual_seed(1)
    responses = [torch.randint(10, 200, (length,), generator=generator) for length in lengths]
    rows = [
        Row(
            f"prompt{number // 2}",
            index(number),
            number % 2,
            "the red square",
            [image(number // 2)] * seen,
            ids,
        )
        for number, (seen, ids) in enumerate(zip(with_image, responses, strict=True))
    ]
    data = worker_batch(rows, processor, temperature)
    parts = zip(data["input_ids"].unbind(), data["response_mask"].unbind(), strict=True)
    single = [(ids, torch.arange(len(ids)).expand(4, -1), mask) for ids, mask in parts]
    return data, single, list(data["multi_modal_inputs"])


def image(number):
    return Image.open(BytesIO(make_row(number, "val", 0)["images"][0]["bytes"])).convert("RGB")
