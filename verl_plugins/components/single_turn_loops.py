"""Names of the single-turn agent loops, and of a method's counterparts to them. Imports no framework."""

from __future__ import annotations

from verl_plugins.config import AGENT_LOOP, IMAGE_LOOP

SINGLE_TURN_LOOPS = ("single_turn_agent", IMAGE_LOOP, AGENT_LOOP)
"""Values of ``rollout.agent.default_agent_loop`` that a method can replace by counterparts of its own."""


def counterparts(label: str) -> dict[str, str]:
    """Return the name of each single-turn loop's counterpart: ``label`` and the loop's own name."""
    return {name: f"{label}_{name}" for name in SINGLE_TURN_LOOPS}


def counterpart_classes(label: str, plain: str, seeded: str) -> dict[str, str]:
    """Return ``Method.agent_loops`` for the counterparts.

    Args:
        label: as for ``counterparts``.
        plain, seeded: ``"module:Class"`` of the counterparts without and with one sampling seed per response.
    """
    return {other: seeded if name == AGENT_LOOP else plain for name, other in counterparts(label).items()}
