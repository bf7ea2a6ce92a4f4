"""Compares a final answer with the gold answer: each text is read once into a typed answer, and compared by type.

`text.clean` gives one spelling to LaTeX, Unicode and markdown. `reading.read` tries the types, each in a file of its
own. `comparing.is_same_answer` compares. What only algebra can decide goes to a function that the caller provides. What
counts as equal is in `docs/rewards.md`.
"""

import re
from collections.abc import Sequence
from typing import Any

from reward_fns.answers.based import Based
from reward_fns.answers.choice import read_choice, read_choice_of, value_of
from reward_fns.answers.clock import Clock, Ratio
from reward_fns.answers.comparing import Algebra, is_same_answer
from reward_fns.answers.condition import Conditioned
from reward_fns.answers.equation import Approximation, Chain, Equation, Named
from reward_fns.answers.interval import Region
from reward_fns.answers.matrix import Matrix
from reward_fns.answers.measurement import Measurement
from reward_fns.answers.number import Number
from reward_fns.answers.reading import read
from reward_fns.answers.sequence import AnswerSequence
from reward_fns.answers.text import clean
from reward_fns.answers.words import Unreadable, Words

__all__ = ["MAX_LENGTH", "Algebra", "BadGold", "answer_type", "is_same"]

MAX_LENGTH = 1000  # characters; longer texts are not final answers
_IDLE_SPACE = re.compile(r"(?<![0-9A-Za-z])\s+|\s+(?![0-9A-Za-z])")


class BadGold(ValueError):
    """Raised if the gold answer is empty, too long, a letter beyond the choices, or unreadable."""


def is_same(gold: str, answer: str, choices: Sequence[str], algebra: Algebra) -> bool:
    """Return whether two answers are the same.

    Args:
        gold, answer: texts of the answers.
        choices: choices of a multiple-choice question, in the order of the letters A, B, ...; else empty.
        algebra: see `comparing.is_same_answer`.

    Raises:
        BadGold: no answer can be compared with the gold. Only the gold decides; but a gold that is merely unreadable is
            still the same as its own text.
    """
    gold = clean(gold) if len(gold) <= MAX_LENGTH else ""
    if not gold:
        raise BadGold
    choice = read_choice(gold)
    if choice and choice.is_capital and choices:
        value = value_of(choice.letter, choices)
        if value is None:
            raise BadGold
        return len(answer) <= MAX_LENGTH and _is_choice(choice.letter, clean(value), clean(answer), choices, algebra)
    answer = clean(answer) if len(answer) <= MAX_LENGTH else ""
    if _tight(answer) == _tight(gold):
        return True
    answered = read_choice(answer)
    if choice and choice.is_capital and (not choice.text or answered):
        if answered is None or answered.letter != choice.letter:
            return False
        texts_differ = choice.text and answered.text
        return not texts_differ or _is_same_text(choice.text, answered.text, algebra)
    if answered and choices:
        answer = clean(value_of(answered.letter, choices) or "")
    elif answered:
        answer = answered.text or answer
    return _is_same_text(choice.text if choice and choice.text else gold, answer, algebra)


def answer_type(gold: str) -> str:
    """Return how a gold answer is compared: a key of `TYPES`, "choice", "several", "unreadable" or "expression"."""
    gold = clean(gold) if len(gold) <= MAX_LENGTH else ""
    choice = read_choice(gold)
    if choice and choice.is_capital and not choice.text:
        return "choice"
    typed: Any = read(gold)
    while isinstance(typed, Named | Conditioned):
        typed = typed.value
    return next((name for name, types in TYPES.items() if isinstance(typed, types)), "expression")


TYPES: dict[str, tuple[type, ...]] = {
    "number": (Number, Measurement, Based),
    "words": (Words,),
    "several": (AnswerSequence,),
    "interval": (Region,),
    "matrix": (Matrix,),
    "equation": (Equation, Chain, Approximation),
    "ratio or time": (Ratio, Clock),
    "unreadable": (Unreadable,),
}


def _is_choice(letter: str, value: str, answer: str, choices: Sequence[str], algebra: Algebra) -> bool:
    """Return whether an answer names a choice by its letter, which decides, or its value; not by another's."""
    answered = read_choice_of(answer, choices)
    if answered:
        return answered.letter == letter
    if not answer or answer == value:
        return answer == value
    others = [clean(str(text)) for number, text in enumerate(choices) if number != ord(letter) - ord("A")]
    return answer not in others and _is_same_text(value, answer, algebra, is_gold=False)


def _tight(text: str) -> str:
    r"""Return a text without the spaces that say nothing: `AB\parallel CD` for `AB \parallel CD`."""
    return _IDLE_SPACE.sub("", text)


def _is_same_text(gold: str, answer: str, algebra: Algebra, is_gold: bool = True) -> bool:
    typed = read(gold)
    if is_gold and isinstance(typed, Unreadable):
        raise BadGold
    return bool(answer) and (_tight(gold) == _tight(answer) or is_same_answer(typed, read(answer), algebra))
