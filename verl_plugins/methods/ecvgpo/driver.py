"""ECVGPO in the trainer: the adaptive r0, whose controller remembers the entropy from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.ecvgpo.apply import apply_adaptive, apply_held
from verl_plugins.methods.ecvgpo.entropy_control import ControlState
from verl_plugins.methods.method import Driver


class ECVGPODriver(Driver):
    """Applies ECVGPO in order, with a fixed r0 or the controller's.

    The controller takes one step in a step of the run. Where verl makes several updates in one, from a batch each
    (``separate_async.parameter_sync_step``), all their entropies are of the same old policy, and r0 is held.
    """

    control = ControlState()
    is_first_update = True

    def begin_step(self) -> None:
        """Let the controller measure the next batch."""
        self.is_first_update = True

    def apply(self, batch: AdvantageBatch) -> tuple[Tensor, dict[str, float]]:
        """Reshape the advantages; see ``verl_plugins.methods.ecvgpo.apply``."""
        if not self.config.is_adaptive:
            return super().apply(batch)
        if not self.is_first_update:
            return apply_held(batch, self.config, self.control)
        self.is_first_update = False
        advantages, metrics, self.control = apply_adaptive(batch, self.config, self.control)
        return advantages, metrics

    def state(self) -> dict[str, Any] | None:
        """Return the controller's state; None with a fixed r0."""
        return asdict(self.control) if self.config.is_adaptive else None

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume the controller."""
        self.control = ControlState(**state)
