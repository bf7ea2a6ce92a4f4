"""Asks the reward whether a row's gold answer can be earned at all."""

from __future__ import annotations

from data_prep.types import Rejection, Row
from reward_fns import auto

_RESPONSES = {  # reward: a response without fault, in the form that the reward asks for by default
    "grounding": "<think>I look.</think><answer>{}</answer>",
    "math": "<think>I count.</think>\\boxed{{{}}}",
    "boxed": "<think>I look.</think>\\boxed{{{}}}",
}


def check_earnable(row: Row) -> Rejection | None:
    """Return why the reward of the row's data set does not accept its own gold answer; None if it does.

    Raises:
        ValueError: `reward_fns.auto` has no reward for the row's data source.
    """
    gold = row["reward_model"]["ground_truth"]
    response = _RESPONSES[auto.reward_of(row["data_source"])].format(gold)
    result = auto.compute_score(row["data_source"], response, gold, row["extra_info"])
    if result["accuracy"] == 1.0:
        return None
    return Rejection("unearnable_gold", f"{result['status']}: {gold[:80]}")
