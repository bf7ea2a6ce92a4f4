"""verl's FSDP2 engine over gloo, in processes that were forked from one: each import is paid once.

For scripts that ``gloo_engine_process`` runs with VERL_PLATFORM=cpu, because verl chooses its platform on import.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tiny_engine import micro_batch
from verl.trainer.config import CheckpointConfig
from verl.utils import tensordict_utils as tu
from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig

from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_tiny_vlm

PRECISIONS = {
    "float32": {"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"},
    "bfloat16": {"param_dtype": "bf16", "reduce_dtype": "fp32", "buffer_dtype": "fp32"},  # verl's default
}


def build_model(folder: Path) -> Path:
    """Write the demo's model with random weights and return its folder."""
    build_tiny_vlm(folder / "model", TASKS["grounding"])
    return folder / "model"


def in_ranks(world_size: int, job: Callable[..., None], *arguments: Any) -> None:
    """Run ``job(*arguments)`` in ``world_size`` forked processes that form a gloo group.

    Raises:
        RuntimeError: a rank failed; its traceback is on stderr.
    """
    fork = multiprocessing.get_context("fork")
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def start(rank: int) -> None:
        torch.set_num_threads(1)
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world_size), "LOCAL_RANK": str(rank)}
        mine = dist.TCPStore("127.0.0.1", store.port, is_master=False)
        dist.init_process_group("cpu:gloo", rank=rank, world_size=world_size, store=mine)
        job(*arguments)
        dist.destroy_process_group()

    ranks = [fork.Process(target=start, args=(rank,)) for rank in range(world_size)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    failed = [rank for rank, process in enumerate(ranks) if process.exitcode != 0]
    if failed:
        raise RuntimeError(f"ranks {failed} of {world_size} failed in {job.__name__}")


def build(
    engine_class: type,
    model: Path,
    precision: str,
    model_settings: dict[str, Any] | None = None,
    fsdp_settings: dict[str, Any] | None = None,
) -> Any:
    """An engine as verl's worker makes it, with gradient checkpointing as in the recipes."""
    settings = {"use_remove_padding": False, "override_config": {"attn_implementation": "sdpa"}}
    config = HFModelConfig(path=str(model), **settings | (model_settings or {}))
    settings = {
        "strategy": "fsdp2",
        "model_dtype": "fp32",
        "mixed_precision": PRECISIONS[precision],
        "use_torch_compile": False,
        "use_dynamic_bsz": False,
        "micro_batch_size_per_gpu": 2,
    }
    fsdp = FSDPEngineConfig(**settings | (fsdp_settings or {}))
    optimizer = FSDPOptimizerConfig(lr=1e-2, weight_decay=0.1, total_training_steps=10)
    engine = engine_class(config, fsdp, optimizer, CheckpointConfig())
    engine.initialize()
    return engine


def batch(engine: Any) -> Any:
    """Four responses to two prompts with an image each."""
    data, _, _ = micro_batch(engine.model_config.processor, [True] * 4, [5, 7, 6, 9])
    data["loss_mask"] = data["response_mask"]
    return data


def update(engine: Any) -> None:
    """One optimizer step that raises the log-probabilities of random responses, in one micro-batch.

    With more, FSDP2 adds up gradients in float32 before it reduces them, which would hide a gradient of a wrong dtype.
    """
    data = batch(engine)
    tu.assign_non_tensor(data, use_dynamic_bsz=False, micro_batch_size_per_gpu=len(data))

    def loss(model_output, data, dp_group):
        return -model_output["log_probs"].values().mean(), {}

    with engine.train_mode():
        engine.train_batch(data, loss)


def weights(engine: Any) -> dict[str, torch.Tensor]:
    """Whole weights by name, as the rollout engine would be sent them."""
    tensors, _ = engine.get_per_tensor_param()
    return {name: tensor.clone() for name, tensor in tensors}
