"""Names and fields that NoisyRollout's driver and agent loops exchange. Imports no framework."""

from __future__ import annotations

from verl_plugins.components.single_turn_loops import counterpart_classes, counterparts

NOISY = "noisy"
"""Column of the batch: the rows that were sampled on a noisy image."""

NOISE_STRENGTH = "noise_strength"
"""Field of a prompt: the diffusion step of its noise."""

NOISY_LOOPS = counterparts("noisyrollout")
"""Agent loops that NoisyRollout supports, and the names of their counterparts."""

_LOOPS = "verl_plugins.methods.noisyrollout.noisy_loops"
AGENT_LOOPS = counterpart_classes(
    "noisyrollout", f"{_LOOPS}:NoisySingleTurnAgentLoop", f"{_LOOPS}:NoisySeededSingleTurnAgentLoop"
)
"""Agent loops by their names in verl's registry."""
