"""Runs on FSDP2 in verl's default precision, bf16 with float32 reduction; writes JSON, one file per rank.

Run by test_mixed_precision.py in a process of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gloo_engine
import torch
import torch.distributed as dist
from verl.utils import tensordict_utils as tu

from verl_plugins.components.requests import REQUEST
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import STATISTICS
from verl_plugins.training.engine import EntropyEngine
from verl_plugins.training.frozen_vision import FrozenVisionEngine, vision_tower

LORA = {"lora_rank": 4, "lora_alpha": 4, "target_modules": "all-linear", "exclude_modules": ".*visual.*"}


def attack(engine) -> float:
    """Attack the images as SaEI does before the first update; the mean rise of H_sel in nats."""
    data = gloo_engine.batch(engine)
    tu.assign_non_tensor(data, **{REQUEST: AttackRequest(SaEIConfig(), seed=1, step=1)})
    with engine.eval_mode():
        result = engine.forward_backward_batch(data, None, forward_only=True)["model_output"][STATISTICS]
    return float((result[:, 1] - result[:, 0]).mean())


def attack_then_update(model: Path, folder: Path) -> None:
    """The same update with and without an attack as the engine's first forward."""
    attacked, plain = (gloo_engine.build(EntropyEngine, model, "bfloat16") for _ in range(2))
    before = gloo_engine.weights(plain)
    rise = attack(attacked)
    gloo_engine.update(attacked)
    gloo_engine.update(plain)
    ours, theirs = gloo_engine.weights(attacked), gloo_engine.weights(plain)
    report = {
        "rise": rise,
        "unmoved": [name for name in before if torch.equal(before[name], theirs[name])],
        "different": [name for name in ours if not torch.equal(ours[name], theirs[name])],
    }
    (folder / f"attack_{dist.get_world_size()}_{dist.get_rank()}.json").write_text(json.dumps(report))


def visits_of(blocks) -> set[int]:
    """Grows by the number of each block that takes part in a backward."""
    visited: set[int] = set()
    for number, block in enumerate(blocks):
        block.register_full_backward_hook(lambda *_, number=number: visited.add(number))
    return visited


def backward_through_the_tower(model: Path, folder: Path) -> None:
    """Count the blocks of the vision tower that take part in an update's backward, by what is trained."""
    report = {}
    for name, engine_class, lora in (
        ("all", EntropyEngine, None),
        ("frozen", FrozenVisionEngine, None),
        ("lora", EntropyEngine, LORA),
    ):
        engine = gloo_engine.build(engine_class, model, "bfloat16", lora)
        blocks = vision_tower(engine.module).blocks
        visited = visits_of(blocks)
        gloo_engine.update(engine)
        report[name] = {
            "blocks": len(visited),
            "of": len(blocks),
            "with_gradient": len(engine.optimizer.state),
            "trained": sum(parameter.requires_grad for parameter in engine.module.parameters()),
        }
    (folder / "backward.json").write_text(json.dumps(report))


def main(folder: Path) -> None:
    model = gloo_engine.build_model(folder)
    for world_size in (1, 2):
        gloo_engine.in_ranks(world_size, attack_then_update, model, folder)
    gloo_engine.in_ranks(1, backward_through_the_tower, model, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
