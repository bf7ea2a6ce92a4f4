"""Alarms during training: their metrics and messages, and the end of a run that must stop."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from verl_plugins.health.checks import NO_HISTORY, History, look, measures, watched
from verl_plugins.health.health_config import KEY, HealthConfig


class RunStopped(Exception):
    """An alarm with the action "stop" was raised. ``hydra_plugin.LastMessage`` prints it as the driver's last line."""


class Watch:
    """Checks the metrics of each step, once and in order."""

    def __init__(self, config: HealthConfig):
        self.config = config
        self.history = NO_HISTORY
        self.stopping: str | None = None
        """Reason why the run must end; None while it continues."""

    def look(self, step: int, metrics: Mapping[str, Any], responses: int) -> dict[str, float]:
        """Return the metrics ``health/<alarm>``, 1 while an alarm is on, and report new alarms as configured.

        Args:
            step: number of the step, from 1.
            metrics: metrics of the step.
            responses: number of responses in the step, see ``measures``.
        """
        alarms_before = self.history.on
        self.history = look(self.history, measures(metrics, responses), self.config.window, self.config.limits)
        alarms = self.history.on
        for alarm in alarms:
            if alarm not in alarms_before and self.config.action_of(alarm) == "warn":
                print(f"verl-plugins: step {step}: {alarm}: {alarms[alarm]}", file=sys.stderr, flush=True)
        reasons = [f"{alarm}: {reason}" for alarm, reason in alarms.items() if self.config.action_of(alarm) == "stop"]
        if reasons:
            self.stopping = f"step {step}:\n" + "\n".join(f"  {line}" for line in reasons)
        return {f"health/{alarm}": float(alarm in alarms) for alarm in watched(self.history)}

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values, for a checkpoint."""
        return asdict(self.history)

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a checkpoint's ``state``."""
        self.history = History(**state)

    def end(self, checkpoint: str) -> RunStopped:
        """Return the exception that ends the run, once ``checkpoint`` holds the step."""
        return RunStopped(
            f"verl-plugins: a health check stopped the run at {self.stopping}\n"
            f"  checkpoint: {checkpoint}; to go on from it regardless, start the same command with {KEY}.action=warn "
            f"and no stop of an alarm's own"
        )
