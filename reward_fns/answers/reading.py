"""Reads a cleaned answer into a typed one. The types are tried in this order, and the first that fits is taken."""

import re
from functools import lru_cache
from typing import Any

from reward_fns.answers.based import read_based
from reward_fns.answers.clock import read_clock, read_ratio
from reward_fns.answers.condition import Conditioned, read_conditioned
from reward_fns.answers.equation import Approximation, Chain, Named, read_equation, read_label
from reward_fns.answers.expression import Expression
from reward_fns.answers.interval import read_region
from reward_fns.answers.matrix import Matrix, make_matrix, read_rows
from reward_fns.answers.measurement import read_measurement
from reward_fns.answers.number import read_number
from reward_fns.answers.sequence import AnswerSequence, read_plus_minus, read_sequence
from reward_fns.answers.splitting import inside_brackets, is_balanced
from reward_fns.answers.words import Unreadable, is_prose, read_words

_DEEPEST = 6  # levels of lists in lists
_DANGLING = re.compile(r".*[-+*/^_=<>\\]|.*\\(?:times|cdot|div|frac|sqrt|le|ge|approx)|[^\w\\]*", re.DOTALL)
_NUMBERS_APART = re.compile(r"[0-9.]+(?: [0-9.]+)+")  # the parser would join `1 2` to 12


@lru_cache(maxsize=1024)
def read(text: str, level: int = 0) -> Any:
    """Return the typed answer of a cleaned text; Unreadable if it is prose with numbers, or no complete LaTeX."""
    if level > _DEEPEST or not text:
        return Unreadable(text)

    def read_part(part: str) -> Any:
        return read(part, level + 1)

    number = read_number(text)
    if number is not None:
        return number
    rows = read_rows(text)
    if rows is not None:
        matrix = _system_or_matrix(*rows, text, read_part)
        return matrix if _is_readable(matrix) else Unreadable(text)
    if not is_balanced(text):
        return Unreadable(text)
    for reader in (read_conditioned, read_region, read_sequence, read_plus_minus, read_equation):
        answer = reader(text, read_part)
        if answer is not None:
            return answer if _is_readable(answer) else Unreadable(text)
    for reader in (read_clock, read_ratio, read_based, read_measurement, read_words):
        answer = reader(text)
        if answer is not None:
            return answer
    label = read_label(text, read_part)
    if label is not None:
        return label if _is_readable(label) else Unreadable(text)
    inside = inside_brackets(text, "(", ")")
    if inside:
        return read_part(inside)
    is_unreadable = is_prose(text) or _DANGLING.fullmatch(text) or _NUMBERS_APART.fullmatch(text)
    return Unreadable(text) if is_unreadable else Expression(text)


def _is_readable(answer: Any) -> bool:
    """Return whether every part of a typed answer could be read."""
    if isinstance(answer, AnswerSequence):
        return all(map(_is_readable, answer.items))
    if isinstance(answer, Chain):
        return all(map(_is_readable, answer.members))
    if isinstance(answer, Named | Conditioned):
        return _is_readable(answer.value)
    if isinstance(answer, Matrix):
        return all(_is_readable(entry) for row in answer.rows for entry in row)
    return not isinstance(answer.exact if isinstance(answer, Approximation) else answer, Unreadable)


def _system_or_matrix(cells: list[list[str]], is_cases: bool, text: str, read_part: Any) -> Any:
    if is_cases and all(len(row) == 1 for row in cells):
        return AnswerSequence(tuple(read_part(row[0]) for row in cells), "list")
    return make_matrix(cells, is_cases, text, read_part)
