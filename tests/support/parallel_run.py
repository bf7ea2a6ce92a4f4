"""VEPO's columns and SaEI's images on FSDP2, on one rank and on two Ulysses ranks, and under fused kernels.

Run by test_parallel.py in a process of its own. Each rank saves what it computed: ``<family>/<case>_<rank>.pt``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gloo_engine
import pytest
import torch
import torch.distributed as dist
from tiny_engine import build_engine, micro_batch, replace_flash_attention
from tiny_families import qwen3_vl
from torch import Tensor
from transformers import AutoModelForImageTextToText
from verl.utils import tensordict_utils as tu
from verl.utils import ulysses

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.components.requests import REQUEST
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.training.engine import EntropyEngine

LENGTHS = [5, 7, 6, 90]  # row by row, the first slice of each short response is prompt alone
ATTACKS = {"qwen2_5_vl": (2, 2), "qwen3_vl": (1, 1)}  # rows of a micro-batch, steps
FUSED = {"use_fused_kernels": True, "fused_kernel_options": {"impl_backend": "torch"}}


def all_to_all(local: Tensor, scatter_dim: int, gather_dim: int, group: Any = None, async_op: bool = False) -> Tensor:
    """``verl.utils.ulysses.all_to_all_tensor`` by an all-gather, because gloo has no all-to-all."""
    assert not async_op
    group = group or ulysses.get_ulysses_sequence_parallel_group()
    world_size, rank = dist.get_world_size(group), dist.get_rank(group)
    gathered = [torch.empty_like(local) for _ in range(world_size)]
    dist.all_gather(gathered, local.contiguous(), group=group)
    return torch.cat([each.tensor_split(world_size, scatter_dim)[rank] for each in gathered], gather_dim).contiguous()


def run(engine: Any, request: Any, micro_batch_size: int) -> dict[str, Tensor]:
    """Compute four responses to two prompts as the worker does."""
    data, _, _ = micro_batch(engine.model_config.processor, [True] * len(LENGTHS), LENGTHS)
    tu.assign_non_tensor(data, use_remove_padding=True, use_fused_kernels=engine.model_config.use_fused_kernels)
    tu.assign_non_tensor(data, use_dynamic_bsz=False, micro_batch_size_per_gpu=micro_batch_size)
    if request is not None:
        tu.assign_non_tensor(data, **{REQUEST: request})
    tu.assign_non_tensor(data, compute_loss=False, calculate_entropy=True)
    data["loss_mask"] = data["response_mask"]
    engine.engine_config.micro_batch_size_per_gpu = micro_batch_size
    with engine.eval_mode():
        output = engine.forward_backward_batch(data, None, forward_only=True)["model_output"]
    return {name: values.values() if values.is_nested else values for name, values in output.items()}


def compute(folder: Path, name: str, model_settings: dict[str, Any], fsdp_settings: dict[str, Any]) -> None:
    """Save the columns of VEPO and verl, and the attack's result."""
    rows, steps = ATTACKS[folder.name]
    settings = {"use_remove_padding": True, **model_settings}
    engine = gloo_engine.build(EntropyEngine, folder / "model", "float32", settings, fsdp_settings)
    for module in engine.module.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = "flash_attention_2"  # which from_pretrained would look for
    results = {
        "vepo": run(engine, Counterfactual("gaussian", 2.0, seed=3, step=5), 2),
        "saei": run(engine, AttackRequest(SaEIConfig(steps=steps), seed=3, step=5), rows),
    }
    if not engine.model_config.use_fused_kernels:  # verl's fused forward of Qwen2.5-VL fails on FSDP2's untied lm_head
        results["verl"] = run(engine, None, 2)
    torch.save(results, folder / f"{name}_{dist.get_rank()}.pt")


def save_model(family: str, folder: Path) -> None:
    """Save a random model that looks at its image."""
    if family == "qwen2_5_vl":
        engine = build_engine(sharpness=4)
        model, processor = engine.module, engine.model_config.processor
    else:
        config, processor = qwen3_vl()
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
        model.lm_head.weight.data.mul_(4)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def main(folder: Path) -> None:
    patch = pytest.MonkeyPatch()  # of this process, until it ends
    replace_flash_attention(patch)
    patch.setattr(ulysses, "all_to_all_tensor", all_to_all)
    for family in ATTACKS:
        mine = folder / family
        save_model(family, mine / "model")
        gloo_engine.in_ranks(1, compute, mine, "one_rank", {}, {})
        gloo_engine.in_ranks(2, compute, mine, "ulysses", {}, {"ulysses_sequence_parallel_size": 2})
    gloo_engine.in_ranks(1, compute, folder / "qwen2_5_vl", "fused", FUSED, {})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
