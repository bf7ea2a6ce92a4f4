r"""Reward for a one-word answer in \boxed{}: 0.9 for the right word and 0.1 for the form, as in VEPO.

    score = (1 - format_weight) * accuracy + format_weight * format

Use: `reward.custom_reward_function.path=reward_fns/boxed.py`. The last \boxed{...} is the answer; case and surrounding
spaces are ignored. `format` is 1 if the response has the form `think_boxed` of `reward_fns.forms`.
verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from typing import Any

from reward_fns.forms import is_think_then_boxed, last_boxed
from reward_fns.settings import cache_settings, never_raises, settle, within

FORM = "think_boxed"
PRESETS = {"vepo": {"format_weight": 0.1}}


@never_raises(lambda: _result("error"))
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs) -> dict:
    """Score one response; never raises.

    Args:
        data_source: name of the data set; unused, part of verl's signature.
        solution_str: text of the response.
        ground_truth: the right word.
        extra_info: unused, part of verl's signature.
        **kwargs: `format_weight`, in [0, 1], the share of `format` in the score.

    Returns:
        Always the keys `score` in [0, 1], `accuracy` and `format` (0.0 or 1.0), and `status`, one of
        ok / no_answer / bad_format / bad_gold / error.
    """
    weight = settings_of(**kwargs)["format_weight"]
    if not isinstance(ground_truth, str) or not ground_truth.strip():
        return _result("bad_gold")
    answer = last_boxed(solution_str)
    if answer is None:
        return _result("no_answer")
    is_right = answer.strip().lower() == ground_truth.strip().lower()
    is_well_formed = is_think_then_boxed(solution_str)
    score = (1 - weight) * is_right + weight * is_well_formed
    return _result("ok" if is_well_formed else "bad_format", score, is_right, is_well_formed)


@cache_settings
def settings_of(**kwargs) -> dict[str, Any]:
    """Return the checked settings of a call.

    Raises:
        ValueError: a setting does not exist, or a value is not allowed.
    """
    settings = settle(PRESETS, "vepo", kwargs)
    within("format_weight", settings["format_weight"], 0, 1)
    return settings


def _result(status: str, score: float = 0.0, is_right: bool = False, is_well_formed: bool = False) -> dict:
    return {"score": score, "accuracy": float(is_right), "format": float(is_well_formed), "status": status}
