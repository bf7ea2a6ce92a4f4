r"""Shapes a score by the form, the length and the repetitions of a response; everything is off by default.

With q the quality of the answer (accuracy, or the IoU) and L the length of the response in characters:

    accuracy term      q, or 0 if `format_gates` is true and the response is not well-formed
    cosine length      q * C(L; right_short, right_long) + (1 - q) * C(L; wrong_short, wrong_long) in place of q,
                       C(L; short, long) = long + (short - long) * (1 + cos(pi * min(L / max_length, 1))) / 2
    repetition         minus `repetition_penalty` * (1 - distinct n-grams / n-grams)

| setting | default | meaning |
|---|---|---|
| `format_gates` | false | true: an answer earns its accuracy only if the response is well-formed |
| `cosine_max_length` | null | characters at which the cosine ends; null: the length does not count |
| `cosine_right_short`, `cosine_right_long` | 1, 0.5 | accuracy term of a right answer at length 0, and at the end |
| `cosine_wrong_short`, `cosine_wrong_long` | -0.5, 0 | the same of a wrong answer, or of none |
| `repetition_penalty` | 0 | points that a response of nothing but repetitions would lose |
| `repetition_ngram` | 3 | words of an n-gram |

Source of the cosine and of the repetition: "Demystifying Long Chain-of-Thought Reasoning in LLMs", arXiv 2502.03373
(sections 3.2 and C.2), as open-r1 and ms-swift have them; the four values are ms-swift's. Deviations: beyond
`cosine_max_length` the cosine stays where it ends (theirs turns back, and pays a right answer of twice the length in
full); each Chinese character is a word. A reward sees the text alone, so lengths are characters: about 4 to a token in
English. verl's reward manager `dapo` has DAPO's soft-overlong penalty, in tokens.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from reward_fns.settings import KEY, within

DEFAULTS = {
    "format_gates": False,
    "cosine_max_length": None,
    "cosine_right_short": 1.0,
    "cosine_right_long": 0.5,
    "cosine_wrong_short": -0.5,
    "cosine_wrong_long": 0.0,
    "repetition_penalty": 0.0,
    "repetition_ngram": 3,
}
_WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")


def check_shaping(settings: Mapping[str, Any]) -> None:
    """Check the settings that DEFAULTS names.

    Raises:
        ValueError: a value is not allowed.
    """
    for name, kind, expected in (("format_gates", bool, "true or false"), ("repetition_ngram", int, "a whole number")):
        if not isinstance(settings[name], kind):
            raise ValueError(f"{name}: got {settings[name]!r}, expected {expected}; set {KEY}.{name}")
    within("repetition_ngram", settings["repetition_ngram"], 1)
    within("repetition_penalty", settings["repetition_penalty"], 0)
    if settings["cosine_max_length"] is not None:
        within("cosine_max_length", settings["cosine_max_length"], 1)
    for name in ("cosine_right_short", "cosine_right_long", "cosine_wrong_short", "cosine_wrong_long"):
        within(name, settings[name], -100, 100)


def accuracy_term(quality: float, is_well_formed: bool, response: str, settings: Mapping[str, Any]) -> float:
    """Return what a reward multiplies with its weight of the accuracy.

    Args:
        quality: in [0, 1], of the answer; 0 for a response without one.
        is_well_formed: whether the response has the form that was asked for.
        response: text of the response.
        settings: settings of the reward, with those of DEFAULTS.
    """
    if settings["format_gates"] and not is_well_formed:
        quality = 0.0
    if settings["cosine_max_length"] is None:
        return float(quality)
    progress = min(len(response) / settings["cosine_max_length"], 1.0)
    share = (1 + math.cos(math.pi * progress)) / 2  # 1 at length 0, 0 at the end
    right, wrong = (
        settings[f"cosine_{name}_long"] * (1 - share) + settings[f"cosine_{name}_short"] * share
        for name in ("right", "wrong")
    )
    return quality * right + (1 - quality) * wrong


def repetition_penalty(response: str, settings: Mapping[str, Any]) -> float:
    """Return the points that a response loses for its repetitions, in [0, settings["repetition_penalty"]]."""
    if not settings["repetition_penalty"]:
        return 0.0
    words, size = _WORD.findall(response.lower()), settings["repetition_ngram"]
    ngrams = list(zip(*(words[start:] for start in range(size)), strict=False))
    return settings["repetition_penalty"] * (1 - len(set(ngrams)) / len(ngrams)) if ngrams else 0.0
