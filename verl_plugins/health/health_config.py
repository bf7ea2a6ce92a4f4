"""Settings under ``trainer.health``: limits of the alarms, and the action taken when one is raised."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verl_plugins.health.checks import ALARMS, CHECKS

KEY = "trainer.health"
ACTIONS = ("log", "warn", "stop")


@dataclass(frozen=True)
class HealthConfig:
    """Settings of the health checks.

    Args:
        action: action of each alarm that has none in ``actions``. "log": only the metric ``health/<alarm>``; "warn":
            also a line in the log when the alarm is raised; "stop": a checkpoint, and the run ends with exit code 1.
        window: number of steps in the means that are compared with the limits.
        limits: limits by ``Check.key``, see ``CHECKS``.
        actions: actions of single alarms.
    """

    action: str = "warn"
    window: int = 5
    limits: Mapping[str, float] = field(default_factory=lambda: {check.key: check.default for check in CHECKS})
    actions: Mapping[str, str] = field(default_factory=dict)

    def action_of(self, alarm: str) -> str:
        return self.actions.get(alarm, self.action)


def health_from_node(node: Mapping[str, Any]) -> HealthConfig:
    """Build the settings from the mapping under ``trainer.health``: action, window and one mapping per alarm.

    Raises:
        ValueError: what, got, expected and the key to set, for the first invalid setting.
    """
    _check_names(KEY, node, ["action", "window", *ALARMS])
    default = HealthConfig()
    limits, actions = dict(default.limits), {}
    for alarm in ALARMS:
        settings = node.get(alarm) or {}
        _check_names(f"{KEY}.{alarm}", settings, ["action", *(check.limit for check in CHECKS if check.alarm == alarm)])
        for name, value in settings.items():
            key = f"{KEY}.{alarm}.{name}"
            if name != "action":
                limits[f"{alarm}.{name}"] = _limit(key, value)
            elif value is not None:
                actions[alarm] = _action(key, value)
    action = _action(f"{KEY}.action", node.get("action", default.action))
    window = node.get("window", default.window)
    if not isinstance(window, int) or isinstance(window, bool) or window < 1:
        raise ValueError(f"{KEY}.window: got {window!r}, expected a whole number of steps >= 1; set {KEY}.window")
    return HealthConfig(action, window, limits, actions)


def _check_names(key: str, node: Any, names: list[str]) -> None:
    if not isinstance(node, Mapping):
        raise ValueError(f"{key}: got {node!r}, expected settings ({', '.join(names)}); set {key}.{names[-1]}")
    for name in node:
        if name not in names:
            raise ValueError(f"{key}.{name}: unknown setting, expected one of {', '.join(names)}; remove {key}.{name}")


def _limit(key: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{key}: got {value!r}, expected a number >= 0; set {key}")
    return float(value)


def _action(key: str, value: Any) -> str:
    if value not in ACTIONS:
        raise ValueError(f"{key}: got {value!r}, expected one of {', '.join(ACTIONS)}; set {key}")
    return value
