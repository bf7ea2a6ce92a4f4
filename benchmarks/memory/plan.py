"""Predictions of the planner beside measured peaks: of small models that really train, and at true sizes.

    PYTHONPATH=benchmarks python -m memory.plan

Small models: updates of each family on the CPU in float32. The peak is the largest total of all tensors alive in two
micro-batches after a first step: weights, optimizer states, gradients, and the tensors of forward and backward. The
models have the families' architectures from Transformers and random weights; torch's kernels replace FlashAttention's.

True sizes: Qwen2.5-VL-3B and 7B in bfloat16 with FlashAttention and verl's forward, on the meta device (true_size.py).
Each phase of a step has 12,288 tokens and eight images of a megapixel, and no weights or optimizer states.

Neither includes FSDP's gathered weights: these parts of a plan are arithmetic that is not checked here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from verl.utils.torch_functional import logprobs_from_logits

from memory.alive_bytes import AliveBytes
from memory.true_size import TrueSize
from memory.true_size_cases import CASES, predicted
from verl_plugins.plan import memory
from verl_plugins.plan.shape import shape_of, shape_of_config
from verl_plugins.plan.workload import TEXT_OF_A_ROW, Workload

TOLERANCE = 0.2
TRUE_SIZES = ("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct")
VOCABULARY = 4096
IMAGE_TOKEN = 7

TEXT = {
    "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 8,
    "num_key_value_heads": 2, "vocab_size": VOCABULARY, "tie_word_embeddings": False,
}  # fmt: skip
VISION = {
    "depth": 4, "hidden_size": 128, "intermediate_size": 384, "num_heads": 4, "spatial_merge_size": 2, "in_channels": 3,
    "out_hidden_size": 256,
}  # fmt: skip
ROPE = {"rope_type": "default", "rope_theta": 1e6}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": {
        "text_config": {**TEXT, "rope_parameters": {**ROPE, "mrope_section": [4, 6, 6]}},
        "vision_config": {**VISION, "patch_size": 14, "fullatt_block_indexes": [1, 3]},
    },
    "qwen3_vl": {
        "text_config": {**TEXT, "head_dim": 32, "rope_parameters": {**ROPE, "mrope_section": [6, 5, 5]}},
        "vision_config": {**VISION, "patch_size": 16, "deepstack_visual_indexes": [1]},
    },
    "internvl": {
        "downsample_ratio": 0.5,
        "image_seq_length": 64,
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {
            "model_type": "internvl_vision", "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
            "num_attention_heads": 4, "patch_size": [14, 14], "image_size": [224, 224],
        },
    },
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One row of the table of small models."""

    family: str
    tokens: int = 1024
    is_checkpointed: bool = False
    is_vision_frozen: bool = False

    def __str__(self) -> str:
        flags = ["checkpointed"] * self.is_checkpointed + ["vision frozen"] * self.is_vision_frozen
        return ", ".join([self.family, f"{self.tokens} tokens", *flags])


def cases() -> list[Case]:
    """Each family with and without checkpointing, with a frozen vision tower, and on a longer micro-batch."""
    rows = []
    for family in FAMILIES:
        case = Case(family)
        rows += [case, replace(case, is_checkpointed=True), replace(case, is_vision_frozen=True)]
        rows.append(replace(case, tokens=3072, is_checkpointed=True))
    return rows


def measure(case: Case) -> tuple[int, int]:
    """Run the updates of a case; return the measured and the predicted peak in bytes."""
    config = AutoConfig.for_model(
        case.family, tie_word_embeddings=False, image_token_id=IMAGE_TOKEN, **FAMILIES[case.family]
    )
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="sdpa").float().train()
    if case.is_checkpointed:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if case.is_vision_frozen:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("visual" not in name and "vision_tower" not in name)
    optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad])
    inputs = inputs_of(config, case.tokens)
    backward(model, inputs)
    optimizer.step()
    optimizer.zero_grad()

    alive = AliveBytes()
    for state in optimizer.state.values():
        alive.count(state["exp_avg"]), alive.count(state["exp_avg_sq"])
    for parameter in model.parameters():
        alive.count(parameter)
    with alive:
        backward(model, inputs)
        backward(model, inputs)
    return alive.peak, predict(config, case)


def backward(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    """Run forward and backward of one micro-batch as verl's engine does on packed rows."""
    logits = model(**inputs, use_cache=False).logits.squeeze(0)
    log_probs = logprobs_from_logits(logits, inputs["input_ids"].squeeze(0).roll(-1))
    log_probs.mean().neg().backward()


def inputs_of(config: Any, tokens: int) -> dict[str, torch.Tensor]:
    """Make a packed row of text and of images with 64 tokens each, as many as the planner assumes."""
    images = tokens // (64 + 2 + TEXT_OF_A_ROW)
    input_ids = torch.randint(10, VOCABULARY, (1, tokens))
    input_ids[0, 4 : 4 + 64 * images] = IMAGE_TOKEN
    inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
    if config.model_type == "internvl":
        return {**inputs, "pixel_values": torch.randn(images, 3, 224, 224)}
    vision = config.vision_config
    pixels = torch.randn(256 * images, 3 * vision.temporal_patch_size * vision.patch_size**2)
    positions, grid = torch.arange(tokens).expand(3, 1, -1), torch.tensor([[1, 16, 16]]).expand(images, -1)
    return {**inputs, "position_ids": positions, "pixel_values": pixels, "image_grid_thw": grid}


def predict(config: Any, case: Case) -> int:
    """The planner's bytes for a case: one GPU, so FSDP gathers nothing, and torch's kernels."""
    shape = shape_of_config(config)
    load = Workload(
        gpus=1,
        gpus_of_a_node=1,
        compute_bytes=4,
        tokens=case.tokens,
        is_checkpointed=case.is_checkpointed,
        is_vision_frozen=case.is_vision_frozen,
        image_pixels=448 * 448 if shape.tile_tokens else 64 * (shape.patch * 2) ** 2,  # 64 tokens
        fused_kernels=False,
    )
    states = shape.parameters * 4 + 3 * memory.trained_parameters(shape, load) * 4
    parts = memory.update(shape, load)
    return states + parts["activations"] + parts["logits, or a layer"]


def main() -> int:
    """Print both tables; return 1 if a prediction is off by more than TOLERANCE, else 0."""
    print("| update | measured, MiB | predicted, MiB | off by |\n|---|---|---|---|")
    errors = [_print_row(str(case), *measure(case), 2**20) for case in cases()]
    print("\n| model | phase | measured, GiB | predicted, GiB | off by |\n|---|---|---|---|---|")
    for name in TRUE_SIZES:
        shape = shape_of(name)
        models = {is_checkpointed: TrueSize(name, is_checkpointed) for is_checkpointed in (True, False)}
        for case in CASES:
            peaks = models[case.is_checkpointed].measure(case).peak, predicted(shape, case).peak
            errors.append(_print_row(f"{name.rpartition('/')[2]} | {case}", *peaks, 2**30))
    print(f"\nworst: {max(errors):.1%}, allowed: {TOLERANCE:.0%}")
    return int(max(errors) > TOLERANCE)


def _print_row(case: str, measured: int, planned: int, unit: int) -> float:
    error = planned / measured - 1
    print(f"| {case} | {measured / unit:.1f} | {planned / unit:.1f} | {error:+.1%} |", flush=True)
    return abs(error)


if __name__ == "__main__":
    sys.exit(main())
