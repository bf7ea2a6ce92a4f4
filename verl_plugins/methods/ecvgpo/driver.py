"""ECVGPO in the trainer: the adaptive r0, whose controller remembers the entropy from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.ecvgpo.apply import apply_adaptive
from verl_plugins.methods.ecvgpo.entropy_control import ControlState
from verl_plugins.methods.method import Driver


class ECVGPODriver(Driver):
    """Applies ECVGPO once per step, in order, with a fixed r0 or the controller's."""

    control = ControlState()

    def apply(self, batch: AdvantageBatch) -> tuple[Tensor, dict[str, float]]:
        """Reshape the advantages; see ``verl_plugins.methods.ecvgpo.apply``."""
        if not self.config.is_adaptive:
            return super().apply(batch)
        advantages, metrics, self.control = apply_adaptive(batch, self.config, self.control)
        return advantages, metrics

    def state(self) -> dict[str, Any] | None:
        """Return the controller's state; None with a fixed r0."""
        return asdict(self.control) if self.config.is_adaptive else None

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume the controller."""
        self.control = ControlState(**state)
