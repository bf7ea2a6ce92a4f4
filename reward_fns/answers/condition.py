r"""Conditions after an answer: `\frac{\pi}{6}+k\pi (k \in \mathbb{Z})`, `y=8-2x, 0<x<4`.

A condition is about a variable of the answer, but not about the one whose values the answer is: `x>1, x<3` are two
inequalities. Both answers must have the same conditions; only that a variable is an integer may be left unsaid.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reward_fns.answers.interval import Region
from reward_fns.answers.pairing import pair_off
from reward_fns.answers.splitting import split_outside

_SEPARATOR = re.compile(r"[,;]|\bwhere\b")
_SIGN = re.compile(r"[<>]|\\(?:in|le|ge|ne)(?![a-zA-Z])|integer|整数")  # of which every condition has one
_INTEGERS = re.compile(
    r"(?P<variable>[a-zA-Z])\s*"
    r"(?:\\in\s*(?:\\mathbb\s*)?\{?\s*(?P<set>[ZN])\s*\}?\s*(?P<sign>[_^*+][-_^*+{}\s]*)?|is\s+an?y?\s+integer|为整数)"
)


@dataclass(frozen=True)
class Integer:
    """The condition that a variable is an integer; `numbers` is `Z`, `N`, or `positive`, as in `N^*` and `Z_+`."""

    variable: str
    numbers: str


@dataclass(frozen=True)
class Conditioned:
    value: Any
    conditions: tuple[Integer | Region, ...]


def read_conditioned(text: str, read: Callable[[str], Any]) -> Conditioned | None:
    """Return an answer with the conditions that follow it in brackets or after commas; None if there is none."""
    parts = [*filter(None, split_outside(text, _SEPARATOR)[0])] if _SIGN.search(text) else []
    conditions: list[Integer | Region] = []
    while parts:
        *rest, last = parts
        start = _last_bracket(last)
        if start:
            rest.append(last[:start].strip())
            last = last[start + 1 : -1]
        found = [_condition(part, parts[0], read) for part in split_outside(last, _SEPARATOR)[0]]
        if not rest or not all(found):
            break
        conditions += [condition for condition in found if condition]
        parts = rest
    value = read(parts[0]) if conditions and len(parts) == 1 else None
    is_region = isinstance(value, Region) and any(condition.variable == value.variable for condition in conditions)
    return None if value is None or is_region else Conditioned(value, tuple(conditions))


def is_same_conditioned(gold: Any, answer: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Compare values and conditions; conditions that variables are integers count only if both have some."""
    pair = [each if isinstance(each, Conditioned) else Conditioned(each, ()) for each in (gold, answer)]
    regions = [[condition for condition in each.conditions if isinstance(condition, Region)] for each in pair]
    integers = [{condition for condition in each.conditions if isinstance(condition, Integer)} for each in pair]
    are_integers_same = integers[0] == integers[1] or not all(integers)
    return are_integers_same and pair_off(regions[0], regions[1], same) and same(pair[0].value, pair[1].value)


def _condition(text: str, subject: str, read: Callable[[str], Any]) -> Integer | Region | None:
    """Return what a text says about a variable of the answer; None if it says nothing about one."""
    match = _INTEGERS.fullmatch(text)
    if match:
        numbers = "positive" if match["sign"] else match["set"] or "Z"
        return Integer(match["variable"], numbers) if _occurs(match["variable"], subject) else None
    region = read(text)
    is_about_it = isinstance(region, Region) and region.variable and _occurs(region.variable, subject)
    return region if is_about_it else None


def _occurs(variable: str, text: str) -> bool:
    """Return whether an answer has a variable."""
    return variable in (text if variable.startswith("\\") else re.sub(r"\\[a-zA-Z]+", " ", text))


def _last_bracket(text: str) -> int:
    """Return where the last pair of brackets begins if the text ends with it; else 0."""
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[place], 0)
        if depth == 0:
            return place if text.endswith(")") else 0
    return 0
