"""Names and fields that SaEI's driver, actor and agent loops exchange. Imports no framework."""

from __future__ import annotations

from typing import TypedDict

from verl_plugins.components.single_turn_loops import counterpart_classes, counterparts

ADVERSARIAL = "adversarial"
"""Label of the second sampling in the TransferQueue's keys, and the batch's column of the rows sampled by it."""

PIXELS = "adversarial_pixels"
"""Column written by the attack: uint8, a prompt's images one after the other, in its first row; empty elsewhere."""

SIZES = "adversarial_sizes"
"""Column written by the attack: int64, height and width of each image in ``PIXELS``."""

STATISTICS = "adversarial_statistics"
"""Column written by the attack, (3,): H_sel before and after, in nats; mean absolute pixel change, in 8-bit levels."""

SECOND_LOOPS = counterparts(ADVERSARIAL)
"""Agent loops that SaEI supports, and the names of their counterparts on adversarial images."""

_LOOPS = "verl_plugins.methods.saei.adversarial_loops"
AGENT_LOOPS = counterpart_classes(
    ADVERSARIAL,
    f"{_LOOPS}:AdversarialSingleTurnAgentLoop",
    f"{_LOOPS}:AdversarialSeededSingleTurnAgentLoop",
)
"""Agent loops of the second sampling by their names in verl's registry."""

SECOND_SAMPLING = "second_sampling"
"""Key of a prompt's ``SecondSampling``."""


class SecondSampling(TypedDict):
    """Instructions for sampling a prompt again; a plain dictionary, which reward workers without this package can
    unpickle.

    Args:
        key: TransferQueue row that holds the adversarial images; None to sample on the clean ones again.
        first_session: number of responses sampled before; sampling seeds continue from it.
        update: "clean" or "adversarial", the image that conditions the actor's update on the response.
    """

    key: str | None
    first_session: int
    update: str
