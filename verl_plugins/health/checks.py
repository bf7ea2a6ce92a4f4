"""Alarms, each of which compares a measure of the last steps with a limit.

A step's metrics are reduced to a few measures. The mean of a measure over the last ``window`` steps is compared with
its limit; an alarm is on while one of its checks fails. A measure that is not a number fails every check. A relative
limit is a multiple of the measure's mean over the first ``window`` steps of the run, or of another measure's mean over
the same steps; if that mean is <= 0, the check is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

UNREAD, FAULTS = ("no_answer", "bad_format"), ("bad_gold", "timeout", "error")
REWARD_STATUS = re.compile(rf"reward/.+/({'|'.join(UNREAD + FAULTS)})")

SOURCES = {
    "entropy": ("actor/entropy",),
    "zero_variance": ("groups/zero_variance",),
    "jsd": ("vepo/jsd",),
    "beyond_entropy": ("vepo/kept_missed_by_entropy",),
    "kl": ("vppo/kl",),
    "reward_clean": ("saei/reward_clean", "noisyrollout/reward_clean"),
    "reward_adversarial": ("saei/reward_adversarial", "noisyrollout/reward_noisy"),
    # the half of the responses that is sampled on other images is off-policy on purpose
    "mismatch": (
        "saei/log_prob_mismatch_clean",
        "noisyrollout/log_prob_mismatch_clean",
        "training/rollout_probs_diff_mean",
    ),
}
"""Metrics of each measure, in order of preference: the first one that a step has is used."""


@dataclass(frozen=True)
class Check:
    """Comparison of one measure with one limit.

    Args:
        alarm: the alarm that the check raises, and its key below ``trainer.health``.
        limit: name of the limit, and its key below the alarm.
        default: default of the limit.
        side: "below" or "above", the side of the limit on which the check fails.
        measure: name of the measure, see ``measures``.
        relative_to: "start" for the mean of the first steps, the name of a measure, or "" for an absolute limit.
        what: description of the measure, with its unit.
    """

    alarm: str
    limit: str
    default: float
    side: str
    measure: str
    relative_to: str
    what: str

    @property
    def key(self) -> str:
        return f"{self.alarm}.{self.limit}"


CHECKS = (
    Check("entropy_collapse", "share_of_start", 0.2, "below", "entropy", "start", "policy entropy, nats a token"),
    Check("entropy_blowup", "times_start", 3.0, "above", "entropy", "start", "policy entropy, nats a token"),
    Check("zero_variance_groups", "share", 0.8, "above", "zero_variance", "", "share of groups without an advantage"),
    Check("selection_degenerate", "jsd", 1e-5, "below", "jsd", "", "JSD given the image and the perturbed one, nats"),
    Check(
        "selection_degenerate",
        "beyond_entropy",
        0.01,
        "below",
        "beyond_entropy",
        "",
        "share of the kept tokens that entropy alone would drop",
    ),
    Check("selection_degenerate", "kl", 1e-5, "below", "kl", "", "KL from the image to the perturbed one, nats"),
    Check(
        "adversarial_rewards",
        "share_of_clean",
        0.5,
        "below",
        "reward_adversarial",
        "reward_clean",
        "mean reward of the adversarial or noisy half",
    ),
    Check("rollout_mismatch", "distance", 0.05, "above", "mismatch", "", "distance of actor and rollout, a token"),
    Check("reward_failures", "unread", 0.9, "above", "unread", "", "share of responses whose answer was not read"),
    Check("reward_failures", "faults", 0.05, "above", "faults", "", "share of responses that the reward failed on"),
)
ALARMS = tuple(dict.fromkeys(check.alarm for check in CHECKS))


def measures(metrics: Mapping[str, Any], responses: int) -> dict[str, float]:
    """Reduce the metrics of a step to the measures; a measure without its metric is left out.

    Args:
        metrics: metrics of the step by name.
        responses: number of responses in the step, each counted once however many outputs it has, without padding rows.
    """
    values = {}
    for measure, names in SOURCES.items():
        name = next((name for name in names if name in metrics), None)
        if name is not None:
            values[measure] = float(metrics[name])
    if "jsd" not in values:  # vepo's entropy-only baseline selects by entropy on purpose
        values.pop("beyond_entropy", None)
    statuses = [(match[1], metrics[name]) for name in metrics if (match := REWARD_STATUS.fullmatch(name))]
    if statuses and responses:
        values["unread"] = sum(count for status, count in statuses if status in UNREAD) / responses
        values["faults"] = sum(count for status, count in statuses if status in FAULTS) / responses
    return values


@dataclass(frozen=True)
class History:
    """State of the checks over a run.

    Args:
        start: first ``window`` values of each measure with a limit relative to the start.
        recent: last ``window`` values of each measure, oldest first.
        on: alarms that are on, with the reason.
    """

    start: Mapping[str, list[float]]
    recent: Mapping[str, list[float]]
    on: Mapping[str, str]


NO_HISTORY = History({}, {}, {})


def look(history: History, measured: Mapping[str, float], window: int, limits: Mapping[str, float]) -> History:
    """Return the history after one more step.

    Args:
        history: state before the step.
        measured: the step's ``measures``.
        window: number of steps in a mean.
        limits: limits by ``Check.key``.
    """
    recent, start = dict(history.recent), dict(history.start)
    for name, value in measured.items():
        recent[name] = [*recent.get(name, []), value][-window:]
    for name in dict.fromkeys(c.measure for c in CHECKS if c.relative_to == "start" and c.measure in measured):
        start[name] = [*start.get(name, []), measured[name]][:window]
    on: dict[str, str] = {}
    for check in CHECKS:
        reason = _failure(check, start, recent, window, limits[check.key])
        if reason and check.alarm not in on:
            on[check.alarm] = reason
    return History(start, recent, on)


def looks_at(alarm: str, metric: str) -> bool:
    """Tell whether an alarm's checks read a metric."""
    affected = {measure for measure, names in SOURCES.items() if metric in names}
    if REWARD_STATUS.fullmatch(metric):
        affected |= {"unread", "faults"}
    return any(check.alarm == alarm and check.measure in affected for check in CHECKS)


def watched(history: History) -> list[str]:
    """List the alarms whose measures have occurred, in the order of ``ALARMS``."""
    return [alarm for alarm in ALARMS if any(c.measure in history.recent for c in CHECKS if c.alarm == alarm)]


def _failure(check: Check, start: Mapping, recent: Mapping, window: int, limit: float) -> str:
    """Return the reason why the check fails, or "" if it passes."""
    values = recent.get(check.measure, [])
    if len(values) < window:
        return ""
    limit_text, bound = f"{limit:g}", limit
    if check.relative_to:
        base = start[check.measure] if check.relative_to == "start" else recent.get(check.relative_to, [])
        if len(base) < window or fmean(base) <= 0:
            return ""
        bound = limit * fmean(base)
        name = f"of the first {window} steps" if check.relative_to == "start" else check.relative_to.replace("_", " ")
        limit_text = f"{bound:.4g} ({limit:g} x {name})"
    value = fmean(values)
    if value >= bound if check.side == "below" else value <= bound:
        return ""
    expected = "at least" if check.side == "below" else "at most"
    return (
        f"{check.what}: got {value:.4g} in the mean of {window} steps, expected {expected} {limit_text}; "
        f"the limit is trainer.health.{check.key}"
    )
