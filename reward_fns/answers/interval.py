r"""Intervals, unions of them, and inequalities of one variable: `[1,2)`, `x > 2`, `1 \le x < 2`, `\{x | x > 2\}`.

`(a,b)` alone may be a point as well, so it is read as a tuple, which is compared with an interval as the open one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from reward_fns.answers.equation import is_name
from reward_fns.answers.expression import Expression
from reward_fns.answers.measurement import Measurement
from reward_fns.answers.number import Number
from reward_fns.answers.pairing import pair_off
from reward_fns.answers.splitting import inside_brackets, split_outside

_UNION = re.compile(r"\\cup(?![a-zA-Z])|\bor\b")
_AND = re.compile(r"\band\b|\\cap(?![a-zA-Z])")
_SEPARATOR = re.compile("[,;]")
_BAR = re.compile(r"\||:")
_RELATION = re.compile(r"<|>|\\le(?![a-zA-Z])|\\ge(?![a-zA-Z])")
_MEMBER = re.compile(r"(.{1,20}?)\s*\\in(?![a-zA-Z])\s*(\S.*)")
_NOT_EQUAL = re.compile(r"(.{1,20}?)\s*\\ne(?![a-zA-Z])\s*(\S.*)")
_WITHOUT = re.compile(r"\\mathbb\s*\{?\s*R\s*\}?\s*(?:\\setminus|-|\\)\s*\\\{(.+)\\\}")
_REALS = re.compile(r"\\mathbb\s*\{?\s*R\s*\}?|(?:the set of )?all real(?: number)?s|全体实数|实数集|任意实数|一切实数")
_PLUS_INFINITY = (r"\infty", r"+\infty", r"+ \infty")
_INFINITY = re.compile(r"([-+]?)\s*\\infty")


@dataclass(frozen=True)
class Interval:
    """Ends are Number, Expression or Measurement; None is infinity."""

    low: Any
    high: Any
    is_low_closed: bool = False
    is_high_closed: bool = False


@dataclass(frozen=True)
class Region:
    """A union of intervals on the real line, and the name of the variable if one was written."""

    intervals: tuple[Interval, ...]
    variable: str = ""


def read_region(text: str, read: Callable[[str], Any]) -> Region | None:
    """Return the region that a text describes; None if it is none, or may be a point."""
    if _REALS.fullmatch(text):
        return Region((Interval(None, None),))
    for pattern in (_MEMBER, _NOT_EQUAL):
        match = pattern.fullmatch(text)
        if match and is_name(match[1].strip()):
            whole = read_region(match[2], read) if pattern is _MEMBER else _all_but(match[2], read)
            if whole is None and pattern is _MEMBER:
                whole = open_interval(read(match[2]))
            return whole and replace(whole, variable=_plain(match[1]))
    match = _WITHOUT.fullmatch(text)
    if match:
        return _all_but(match[1], read)
    braces = inside_brackets(text, r"\{", r"\}")
    if braces:
        (head, *conditions), _ = split_outside(braces, _BAR)
        variable = re.sub(r"\s*\\in\s*\\mathbb\s*\{?\s*R\s*\}?", "", head)
        if len(conditions) != 1 or not is_name(variable.strip()):
            return None
        region = read_region(conditions[0].strip(), read)
        return region if region and region.variable in ("", _plain(variable)) else None
    parts, joints = split_outside(text, _UNION)
    regions = [_one(part, read, is_union=bool(joints)) for part in parts]
    if not all(regions):
        return None
    found = [region for region in regions if region]
    variables = {region.variable for region in found} - {""}
    if len(variables) > 1:
        return None
    return Region(tuple(interval for region in found for interval in region.intervals), "".join(variables))


def is_same_region(gold: Region, answer: Region, same: Callable[[Any, Any], bool]) -> bool:
    """Compare two unions, whose intervals stand in any order; the variable counts only if both name it."""
    if gold.variable and answer.variable and gold.variable != answer.variable:
        return False
    return pair_off(gold.intervals, answer.intervals, lambda a, b: _is_same_interval(a, b, same))


def open_interval(answer: Any) -> Region | None:
    """Return the open interval that a tuple of two values may be, or the union that a list of such tuples may be."""
    if getattr(answer, "kind", None) == "list":
        regions = [open_interval(item) for item in answer.items if getattr(item, "kind", None) == "tuple"]
        found = [region for region in regions if region]
        is_union = len(found) == len(answer.items)
        return Region(tuple(interval for region in found for interval in region.intervals)) if is_union else None
    if getattr(answer, "kind", None) == "tuple" and len(answer.items) == 2 and all(map(_is_end, answer.items)):
        return Region((Interval(*answer.items),))
    return None


def _one(text: str, read: Callable[[str], Any], is_union: bool) -> Region | None:
    """Read one interval, one inequality, or two that are joined by `and`."""
    parts, joints = split_outside(text, _AND)
    if joints:
        regions = [_one(part, read, is_union) for part in parts]
        return _intersection(regions[0], regions[1]) if len(regions) == 2 and regions[0] and regions[1] else None
    return _interval(text, read, is_union) or _inequality(text, read)


def _interval(text: str, read: Callable[[str], Any], is_union: bool) -> Region | None:
    if len(text) < 5 or text[0] not in "([" or text[-1] not in ")]":
        return None
    inside = text[1:-1]
    ends, _ = split_outside(inside, _SEPARATOR)
    if len(ends) != 2 or not all(ends):
        return None
    is_plain = text[0] == "(" and text[-1] == ")" and not is_union and not any(map(_INFINITY.fullmatch, ends))
    if is_plain:
        return None
    low, high = (_end(end, read) for end in ends)
    if low is False or high is False or ends[0] in _PLUS_INFINITY or ends[1].replace(" ", "") == r"-\infty":
        return None
    return Region((Interval(low, high, text[0] == "[", text[-1] == "]"),))


def _inequality(text: str, read: Callable[[str], Any]) -> Region | None:
    parts, signs = split_outside(text, _RELATION)
    if len(parts) not in (2, 3) or not all(parts):
        return None
    places = [place for place in ((0, 1) if len(parts) == 2 else (1,)) if is_name(parts[place])]
    if len(places) != 1:
        return None
    place = places[0]
    interval = Interval(None, None)
    for i, sign in enumerate(signs):
        end = _end(parts[i + 1] if i == place else parts[i], read)
        if end is False or end is None and len(parts) == 2:
            return None
        is_low = (sign in (">", r"\ge")) == (i == place)  # x > 2, or 2 < x
        bound = {"low": end} if is_low else {"high": end}
        closed = {"is_low_closed": "e" in sign} if is_low else {"is_high_closed": "e" in sign}
        if end is not None and getattr(interval, next(iter(bound))) is not None:
            return None  # 1 < x > 2
        interval = replace(interval, **bound, **closed) if end is not None else interval
    return Region((interval,), _plain(parts[place]))


def _all_but(text: str, read: Callable[[str], Any]) -> Region | None:
    """Return the real numbers without one."""
    end = _end(text, read)
    return None if end in (False, None) else Region((Interval(None, end), Interval(end, None)))


def _intersection(a: Region, b: Region) -> Region | None:
    """Join `x > 1` and `x < 3`; None if that is no interval with two ends."""
    (x,), (y,) = a.intervals, b.intervals
    if a.variable != b.variable:
        return None
    if x.low is None:
        x, y = y, x
    if x.low is None or x.high is not None or y.low is not None or y.high is None:
        return None
    return Region((Interval(x.low, y.high, x.is_low_closed, y.is_high_closed),), a.variable)


def _end(text: str, read: Callable[[str], Any]) -> Any:
    """Return an end of an interval, None for infinity, False for what is no end."""
    if _INFINITY.fullmatch(text):
        return None
    end = read(text)
    return end if _is_end(end) else False


def _is_end(answer: Any) -> bool:
    return isinstance(answer, Number | Expression | Measurement)


def _is_same_interval(gold: Interval, answer: Interval, same: Callable[[Any, Any], bool]) -> bool:
    if (gold.is_low_closed, gold.is_high_closed) != (answer.is_low_closed, answer.is_high_closed):
        return False
    pairs = ((gold.low, answer.low), (gold.high, answer.high))
    return all((a is None) == (b is None) for a, b in pairs) and all(same(a, b) for a, b in pairs if a is not None)


def _plain(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)
