"""The quantities that a report shows: their metrics, labels, units and sections."""

import re
from dataclasses import dataclass

# Prefixes of verl's own metrics and of those that belong to no method; any other prefix is that of a method.
NO_METHODS = {
    "actor", "critic", "data", "fully_async", "gdpo", "global_seqlen", "num_turns", "perf", "prompt_length",
    "ref", "response", "response_length", "response_length_non_aborted", "reward", "rollout", "rollout_corr",
    "separate_async", "timing_per_token_ms", "timing_s", "tool_call_counts", "training", "val-aux", "val-core",
    "variance_proxy", "groups", "health",
}  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """One quantity to show.

    section: heading of its chart.
    label: its name in the report.
    pattern: regular expression that matches the whole metric name; its group `source` names the data set.
    unit: label of the value axis.
    text: what it is, as a sentence; "" where the label says it.
    best: "high" or "low", the better direction; "" if there is none.
    is_chart, is_summary: whether it has a chart, and whether it has a row in the summary table.
    """

    section: str
    label: str
    pattern: str
    unit: str
    text: str = ""
    best: str = ""
    is_chart: bool = True
    is_summary: bool = True


QUANTITIES = (
    Quantity("Learning", "Reward", r"critic/score/mean", "mean reward", "Mean over the responses of a step.", "high"),
    Quantity(
        "Learning",
        "Training accuracy",
        r"reward/(?P<source>.+)/accuracy",
        "share right",
        "Responses of a step that are right.",
        "high",
        is_summary=False,
    ),
    Quantity(
        "Learning",
        "Validation IoU",
        r"val-(?:core|aux)/(?P<source>.+)/iou/mean@\d+",
        "mean IoU",
        "Overlap of the predicted and the true box, over the validation rows.",
        "high",
    ),
    Quantity(
        "Learning",
        "Validation accuracy",
        r"val-(?:core|aux)/(?P<source>.+)/accuracy/mean@\d+",
        "share right",
        "Validation rows that are answered right.",
        "high",
    ),
    Quantity(
        "Learning",
        "Policy entropy",
        r"actor/entropy",
        "nats per token",
        "Over the whole vocabulary; near 0, the policy explores no more.",
    ),
    Quantity(
        "Learning",
        "Self-information",
        r"[^/]+/self_information(?:/mean)?",
        "nats per token",
        "Mean -log p of the sampled tokens.",
    ),
    Quantity("Learning", "Response length", r"response_length/mean", "tokens", is_chart=False),
    Quantity(
        "Groups and rewards",
        "Groups without an advantage",
        r"groups/zero_variance",
        "share of groups",
        "Prompts whose rewards are all equal: they teach nothing.",
        "low",
    ),
    Quantity(
        "Groups and rewards",
        "Reward std in a group",
        r"groups/reward_std",
        "units of reward",
        "Mean over the prompts of a step.",
        is_summary=False,
    ),
    Quantity(
        "Groups and rewards",
        "Responses in a group",
        r"groups/size",
        "responses",
        "Below rollout.n, rollouts failed.",
        is_summary=False,
    ),
    Quantity(
        "Groups and rewards",
        "Not scored",
        r"reward/(?P<source>.+/(?:no_answer|bad_format|bad_gold|timeout|error))",
        "responses",
        "Responses of a step that the reward could not read, or on which it failed.",
        "low",
        is_summary=False,
    ),
    Quantity("Health and speed", "Gradient norm", r"actor/grad_norm", "L2 norm", "Before clipping.", is_summary=False),
    Quantity(
        "Health and speed",
        "Rollout against actor",
        r"training/rollout_probs_diff_mean",
        "mean |Δ probability|",
        "Of the sampled tokens; large, the two engines are not one policy.",
        "low",
        is_summary=False,
    ),
    Quantity("Health and speed", "Step time", r"timing_s/step", "seconds", best="low"),
)


def metric_keys(steps: list[dict]) -> list[str]:
    """Return every metric name that occurs in any step, sorted."""
    return sorted({key for row in steps for key in row} - {"step"})


def find(quantity: Quantity, keys: list[str]) -> list[tuple[str, str]]:
    """Return the (label, metric name) pairs of a quantity; labels name the data set if there are several metrics."""
    matches = [match for match in (re.fullmatch(quantity.pattern, key) for key in keys) if match]
    if len(matches) == 1:
        return [(quantity.label, matches[0].string)]
    return [(f"{quantity.label} ({match.groupdict().get('source', match.string)})", match.string) for match in matches]


def method_keys(keys: list[str]) -> dict[str, list[str]]:
    """Return, by method, the metrics that it logs and that no entry of `QUANTITIES` shows."""
    shown = {key for quantity in QUANTITIES for _, key in find(quantity, keys)}
    groups: dict[str, list[str]] = {}
    for key in keys:
        method, slash, _ = key.partition("/")
        if slash and method not in NO_METHODS and key not in shown:
            groups.setdefault(method, []).append(key)
    return groups
