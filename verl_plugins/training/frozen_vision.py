"""Full fine-tuning of the language model with a frozen vision tower.

verl 0.9.1 has the key ``actor.freeze_vision_tower`` in its config, but its FSDP engine does not read it and would train
the tower. This engine reads it. It can be removed when verl's does.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from torch import nn
from verl.workers.config.optimizer import build_optimizer

from verl_plugins.training.engine import EntropyEngine

TOWERS = ("visual", "vision_tower")
"""Transformers' names of the tower: in the Qwen families (with the merger) and in InternVL (without it)."""


def vision_tower(module: nn.Module) -> nn.Module:
    """Return the vision tower of a vision-language model.

    Raises:
        ValueError: the model has no module of a usual name.
    """
    for name, child in module.named_modules():
        if name.rpartition(".")[2] in TOWERS:
            return child
    raise ValueError(
        f"model: got {type(module).__name__} without a module named {' or '.join(TOWERS)}, expected a vision-language "
        "model; set actor_rollout_ref.actor.freeze_vision_tower=false"
    )


class FrozenVisionEngine(EntropyEngine):
    """``EntropyEngine`` with a frozen vision tower, whose weights are saved and sent to the rollout like the others.

    The tower is frozen before FSDP2 wraps it, so it is sharded like the rest but reduces no gradients, and its forward
    saves nothing for a backward.
    """

    def _build_module(self):
        module = super()._build_module()
        vision_tower(module).requires_grad_(False)
        return module

    def _build_optimizer(self, module):
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        return build_optimizer(trained, self.optimizer_config)
