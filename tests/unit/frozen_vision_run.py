"""Two updates by verl's FSDP2 engine with a frozen vision tower, a checkpoint, and what vLLM would be sent; as JSON.

Run by test_frozen_vision.py in a process of its own, because verl chooses its platform on import.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from tiny_engine import micro_batch
from verl.trainer.config import CheckpointConfig
from verl.utils import tensordict_utils as tu
from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig

from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_tiny_vlm
from verl_plugins.engine.frozen_vision import FrozenVisionEngine
from verl_plugins.engine.fsdp import EntropyEngine

FP32 = {"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"}


def build(engine_class, model):
    config = HFModelConfig(
        path=str(model), use_remove_padding=False, override_config={"attn_implementation": "sdpa"}
    )  # gradient checkpointing is on, as in the recipes
    fsdp = FSDPEngineConfig(strategy="fsdp2", model_dtype="fp32", mixed_precision=FP32, use_torch_compile=False)
    optimizer = FSDPOptimizerConfig(lr=1e-2, weight_decay=0.1, total_training_steps=10)
    engine = engine_class(config, fsdp, optimizer, CheckpointConfig())
    engine.initialize()
    return engine


def update(engine):
    data, _, _ = micro_batch(engine.model_config.processor, [True] * 4, [5, 7, 6, 9])
    data["loss_mask"] = data["response_mask"]
    tu.assign_non_tensor(data, use_dynamic_bsz=False, micro_batch_size_per_gpu=2)

    def loss(model_output, data, dp_group):
        return -model_output["log_probs"].values().mean(), {}

    with engine.train_mode():
        engine.train_batch(data, loss)


def weights(engine):
    tensors, _ = engine.get_per_tensor_param()
    return {name: tensor.clone() for name, tensor in tensors}


def report(engine_class, model, folder):
    engine = build(engine_class, model)
    before = weights(engine)
    update(engine)
    update(engine)
    after = weights(engine)
    engine.save_checkpoint(str(folder))
    resumed = build(engine_class, model)
    resumed.load_checkpoint(str(folder))
    loaded = weights(resumed)
    update(engine)
    update(resumed)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    tower = [name for name in before if ".visual." in name or name.startswith("visual.")]
    bytes_of = sum(value.numel() * 4 for state in engine.optimizer.state.values() for value in state.values())
    return {
        "tower": tower,
        "others": [name for name in before if name not in tower],
        "changed": changed,
        "numbers": sum(before[name].numel() for name in tower),
        "states": len(engine.optimizer.state),
        "state_bytes": bytes_of,
        "loaded": all(torch.equal(after[name], loaded[name]) for name in after),
        "resumed": all(torch.equal(value, weights(resumed)[name]) for name, value in weights(engine).items()),
    }


def main(folder: Path) -> None:
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    build_tiny_vlm(folder / "model", TASKS["grounding"])
    frozen = report(FrozenVisionEngine, folder / "model", folder / "frozen")
    trained = report(EntropyEngine, folder / "model", folder / "trained")
    (folder / "report.json").write_text(json.dumps({"frozen": frozen, "trained": trained}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
