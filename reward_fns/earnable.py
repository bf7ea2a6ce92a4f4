"""Tells whether a row's gold answer can be earned: repeated in a perfect response, it must be right.

A gold that fails this pays nothing whatever the policy does, so its row can never be learned from.
"""

from collections.abc import Mapping
from typing import Any

from reward_fns import auto, boxed, grounding
from reward_fns.answers import answer_type
from reward_fns.forms import perfect_response
from reward_fns.settings import listed, warn_once

WRONG = "wrong"  # the reward compared the gold with itself, and found them different


def unearnable_gold(
    data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, reward="auto", **settings: Any
) -> str | None:
    """Return None if the gold of a row can be earned, else the status that a perfect response gets; never raises.

    Args:
        data_source, ground_truth, extra_info: of the row.
        reward: "auto", or a key of `auto.REWARDS` for rows of any data source.
        **settings: `reward_kwargs` of that reward, which its `settings_of` has checked.

    Returns:
        None, or bad_gold / no_answer / bad_format / timeout / error, or WRONG. An `error` is also logged.
    """
    try:
        return gold_status(data_source, ground_truth, extra_info, reward, **settings)
    except ValueError as problem:
        warn_once(str(problem))
        return "error"


def gold_status(
    data_source: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, reward="auto", **settings: Any
) -> str | None:
    """Do the same as `unearnable_gold`, but raise what makes every response an `error`.

    Raises:
        ValueError: a setting is wrong, no reward is known for the data source, or `extra_info` lacks the image's size.
    """
    name, own = reward_of_row(data_source, reward, settings)
    form = auto.REWARDS[name].settings_of(**own).get("form", boxed.FORM)
    if name == "grounding":  # its gold boxes are in pixels
        grounding.find_boxes(perfect_response("[0, 0, 1, 1]", form), extra_info, **own)
        own["box_space"] = "pixels"
    status = "bad_gold"
    for gold in listed(ground_truth):
        response = perfect_response(str(gold), form)
        result = auto.REWARDS[name].compute_score(data_source, response, ground_truth, extra_info, **own)
        if result["accuracy"] == 1:
            return None
        status = WRONG if result["status"] == "ok" else result["status"]
    return status


def gold_type(ground_truth: Any, reward: str) -> str:
    """Return how the reward of this name compares a gold: "1 box", "no object", "number", "choice", "word", ..."""
    if reward == "boxed":
        return "word"
    if reward == "grounding":
        found = grounding.find_boxes(str(ground_truth), form="free")
        return "unreadable" if found is None else {0: "no object", 1: "1 box"}.get(len(found), "several boxes")
    kinds = {answer_type(gold) for gold in listed(ground_truth) if isinstance(gold, str)}
    return " or ".join(sorted(kinds)) or "unreadable"


def reward_of_row(data_source: str, reward: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the key of `auto.REWARDS` that scores a row, and that reward's own settings.

    Raises:
        ValueError: the reward is `auto`, which has no route for the data source.
    """
    if reward != "auto":
        return reward, dict(settings)
    name = auto.reward_of(data_source, settings.get("routes"))
    return name, dict(settings.get(name) or {})
