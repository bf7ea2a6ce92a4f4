r"""Maths reward: whether the final answer equals the gold answer, plus a bonus for a well-formed response.

    score = accuracy_weight * accuracy + format_weight * format

with the length and the repetitions of the response, if the settings of `reward_fns.shaping` say so.

Use: `reward.custom_reward_function.path=reward_fns/math.py`; settings are `...reward_kwargs.<name>=<value>`.

| preset | accuracy_weight | format_weight | form | source |
|---|---|---|---|---|
| `vepo` (default) | 0.9 | 0.1 | `think_boxed` | VEPO, arXiv 2606.03937 |
| `mm_eureka` | 1.0 | 0.5 | `think_answer` | MM-Eureka, arXiv 2503.07365 |

| setting | default | meaning |
|---|---|---|
| `form` | the preset's | a form of `reward_fns.forms`: where the answer is, and when `format` is 1 |
| `timeout_s` | 2 | wall-clock limit, in seconds, for the algebra of one answer; beyond it the status is `timeout` |
| `grader` | `ours` | `math_verify`: math-verify's own grader compares the answers instead, and knows no choices |

Answers are compared by the rules of `reward_fns.answers`, and by math-verify if they need algebra, in another
process (`reward_fns.algebra`). A multiple-choice question may be answered by letter or, if `extra_info` has the list
`choices`, by value. Of a list of golds, any is right. If no gold can be read, the score is 0 and the status `bad_gold`,
unless the response repeats a gold's own text.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from typing import Any

from reward_fns import algebra, shaping
from reward_fns.algebra_worker import GRADERS
from reward_fns.answers import Algebra, BadGold, is_same
from reward_fns.forms import FORMS, maths_answer
from reward_fns.settings import cache_settings, choose, listed, never_raises, settle, within

_COMMON = {"timeout_s": 2.0, "grader": "ours", **shaping.DEFAULTS}
PRESETS = {
    "vepo": {"accuracy_weight": 0.9, "format_weight": 0.1, "form": "think_boxed", **_COMMON},
    "mm_eureka": {"accuracy_weight": 1.0, "format_weight": 0.5, "form": "think_answer", **_COMMON},
}
_OUTCOMES = ("timeout", "error", "wrong", "bad_gold")  # if no gold of a list is right, the first of these counts


class _Undecided(Exception):
    """Raised if algebra reaches no result; its argument is the status."""


@never_raises(lambda: _result("error"))
def compute_score(data_source, solution_str, ground_truth, extra_info=None, *, preset="vepo", **kwargs) -> dict:
    """Score one response; never raises.

    Args:
        data_source: name of the data set; unused, part of verl's signature.
        solution_str: text of the response.
        ground_truth: the gold answer: LaTeX, a number, a word, the letter of a choice, or several of these; or a list
            of such golds.
        extra_info: the `extra_info` of the row; its `choices`, a list of str, are used if there are any.
        preset: a key of PRESETS.
        **kwargs: settings that override the preset's.

    Returns:
        Always the keys `score` (in [0, accuracy_weight + format_weight], unless it is shaped), `accuracy` and `format`
        (0.0 or 1.0), and `status`, one of ok / no_answer / bad_format / bad_gold / timeout / error. If a setting is
        wrong, every status is `error`, and one message in the log says which setting.
    """
    settings = settings_of(preset, **kwargs)
    golds = [gold for gold in listed(ground_truth) if isinstance(gold, str)]
    if not golds:
        return _result("bad_gold")
    answer = maths_answer(solution_str, settings["form"])
    if answer is None or not answer.strip():
        return _result("no_answer", _score(solution_str, False, False, settings))
    choices = (extra_info or {}).get("choices")
    outcome = _outcome(golds, answer, [] if choices is None else list(choices), settings)
    if outcome == "bad_gold":
        return _result("bad_gold")
    _, is_well_formed = FORMS[settings["form"]]
    is_right, is_formed = outcome == "right", is_well_formed(solution_str)
    status = outcome if outcome in ("timeout", "error") else "ok" if is_formed else "bad_format"
    return _result(status, _score(solution_str, is_right, is_formed, settings), is_right, is_formed)


@cache_settings
def settings_of(preset="vepo", **kwargs) -> dict[str, Any]:
    """Return the checked settings of a call: those of the preset, overridden.

    Raises:
        ValueError: a setting does not exist, or a value is not allowed.
    """
    settings = settle(PRESETS, preset, kwargs)
    choose("form", settings["form"], FORMS)
    for name in ("accuracy_weight", "format_weight"):
        within(name, settings[name], 0)
    within("timeout_s", settings["timeout_s"], 0.01)
    choose("grader", settings["grader"], GRADERS)
    shaping.check_shaping(settings)
    return settings


def _outcome(golds: list[str], answer: str, choices: list[str], settings: dict[str, Any]) -> str:
    """Return "right" if the answer equals any gold that can be read, else "wrong", "timeout", "error" or "bad_gold"."""
    is_equal, is_ours = _algebra(settings["timeout_s"], settings["grader"]), settings["grader"] == "ours"
    outcomes: set[str] = set()
    for gold in golds:
        try:
            if is_same(gold, answer, choices, is_equal) if is_ours else is_equal(gold, answer):
                return "right"
            outcomes.add("wrong")
        except BadGold:
            outcomes.add("bad_gold")
        except _Undecided as undecided:
            outcomes.add(undecided.args[0])
    return min(outcomes, key=_OUTCOMES.index)


def _score(response: str, is_right: bool, is_formed: bool, settings: dict[str, Any]) -> float:
    accuracy = shaping.accuracy_term(is_right, is_formed, response, settings)
    points = settings["accuracy_weight"] * accuracy + settings["format_weight"] * is_formed
    return points - shaping.repetition_penalty(response, settings)


def _algebra(seconds: float, grader: str) -> Algebra:
    """Return a function that compares by algebra; `seconds` is the limit of all its calls together."""
    remaining = seconds

    def is_equal(gold: str, answer: str) -> bool:
        nonlocal remaining
        if remaining <= 0:
            raise _Undecided("timeout")
        outcome, used = algebra.compare(gold, answer, remaining, grader)
        remaining -= used
        if outcome == "bad_gold":
            raise BadGold
        if outcome not in ("equal", "different"):
            raise _Undecided(outcome)
        return outcome == "equal"

    return is_equal


def _result(status: str, score: float = 0.0, is_right: bool = False, is_well_formed: bool = False) -> dict:
    return {"score": score, "accuracy": float(is_right), "format": float(is_well_formed), "status": status}
