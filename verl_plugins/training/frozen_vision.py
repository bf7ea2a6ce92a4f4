"""Full fine-tuning of the language model behind a vision tower that is not trained.

verl 0.9.1 has the key ``actor.freeze_vision_tower`` in its config, and nothing in its FSDP engine reads it: the tower
would be trained. Here it is read. Can go when verl does so itself.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from torch import nn
from verl.workers.config.optimizer import build_optimizer

from verl_plugins.training.engine import EntropyEngine

TOWERS = ("visual", "vision_tower")  # Transformers' names: of the Qwen families with the merger, of InternVL without


def vision_tower(module: nn.Module) -> nn.Module:
    """The vision tower of a vision-language model.

    Raises:
        ValueError: it has none by the usual names.
    """
    for name, child in module.named_modules():
        if name.rpartition(".")[2] in TOWERS:
            return child
    raise ValueError(
        f"model: got {type(module).__name__} without a module named {' or '.join(TOWERS)}, expected a vision-language "
        "model; set actor_rollout_ref.actor.freeze_vision_tower=false"
    )


class FrozenVisionEngine(EntropyEngine):
    """``EntropyEngine`` whose optimizer never sees the vision tower; its weights are saved and sent like the others.

    The tower is frozen before FSDP2 wraps it, so that it is sharded like the rest but reduces no gradients, and its
    forward saves nothing for a backward.
    """

    def _build_module(self):
        module = super()._build_module()
        vision_tower(module).requires_grad_(False)
        return module

    def _build_optimizer(self, module):
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        return build_optimizer(trained, self.optimizer_config)
