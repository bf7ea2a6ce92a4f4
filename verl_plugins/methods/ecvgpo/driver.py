"""The driver's part of ECVGPO's adaptive r0: what the controller remembers from step to step, and over a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.ecvgpo.apply import apply_adaptive
from verl_plugins.methods.ecvgpo.entropy_control import ControlState
from verl_plugins.methods.ecvgpo.maths import ECVGPOConfig


class AdaptiveR0:
    """Called as the method itself, once a step, in order."""

    def __init__(self) -> None:
        self.control = ControlState()

    def __call__(self, batch: AdvantageBatch, config: ECVGPOConfig) -> tuple[Tensor, dict[str, float]]:
        advantages, metrics, self.control = apply_adaptive(batch, config, self.control)
        return advantages, metrics

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self.control)

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's ``state``."""
        self.control = ControlState(**state)
