"""What is measured at true sizes, and what the planner predicts for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from verl_plugins.plan import memory
from verl_plugins.plan.shape import ModelShape
from verl_plugins.plan.workload import Workload

TOKENS = 12288  # of a micro-batch: the recipes' MAX_TOKENS
IMAGES, GRID = 8, (70, 72)  # of 980 x 1008 pixels each: a megapixel image after the processor

Entropy = Literal["none", "compiled", "eager", "chunked"]  # the last two are verl's functions without torch.compile
ENTROPIES: tuple[Entropy, ...] = ("compiled", "eager", "chunked")


@dataclass(frozen=True)
class Case:
    """A phase of a training step and the settings it runs with."""

    phase: Literal["update", "attack", "counterfactual", "log_probs"]
    entropy: Entropy = "none"
    is_entropy_recomputed: bool = False
    is_vision_frozen: bool = False
    is_checkpointed: bool = True

    def __str__(self) -> str:
        flags = [f"{self.entropy} entropy"] * (self.entropy != "none")
        flags += ["recomputed"] * self.is_entropy_recomputed + ["vision frozen"] * self.is_vision_frozen
        return ", ".join([self.phase, *flags, *["not checkpointed"] * (not self.is_checkpointed)])


CASES = [
    Case("update"),
    Case("update", is_checkpointed=False),
    Case("update", is_vision_frozen=True),
    Case("update", is_vision_frozen=True, is_checkpointed=False),
    Case("update", "compiled"),
    *(Case("update", kind, again, is_vision_frozen=True) for kind in ENTROPIES for again in (False, True)),
    Case("attack"),
    Case("attack", is_checkpointed=False),
    Case("counterfactual"),
    *(Case("log_probs", kind) for kind in ENTROPIES),
]


@dataclass(frozen=True)
class Peak:
    """Bytes, without weights and inputs.

    Args:
        activations: kept by the layers when the forward reaches the projection to the vocabulary.
        peak: the most at once.
    """

    activations: int
    peak: int


def predicted(shape: ModelShape, case: Case) -> Peak:
    """The planner's bytes for a case, without what FSDP2 adds: gathered weights, and gradients once more in float32."""
    load = Workload(
        gpus=1,
        gpus_of_a_node=1,
        has_second_forward=case.phase == "counterfactual",
        tokens=TOKENS,
        log_prob_tokens=TOKENS,
        image_pixels=GRID[0] * GRID[1] * shape.patch**2,
        is_checkpointed=case.is_checkpointed,
        is_vision_frozen=case.is_vision_frozen,
        has_entropy_loss=case.entropy != "none",
        is_entropy_compiled=case.entropy == "compiled",
        is_entropy_chunked=case.entropy == "chunked",
        is_entropy_recomputed=case.is_entropy_recomputed,
    )
    phase = {"update": memory.update, "attack": memory.attack}.get(case.phase, memory.forward)(shape, load)
    gradients = phase["gathered gradients"] - 4 * shape.text.parameters if case.phase == "update" else 0
    return Peak(phase["activations"], phase["activations"] + phase["logits, or a layer"] + gradients)
