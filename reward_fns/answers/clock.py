"""Times of day, `3:20 p.m.`, and ratios, `3:4`: numbers with colons."""

import re
from dataclasses import dataclass
from fractions import Fraction

from reward_fns.answers.number import Number, read_number

_CLOCK = re.compile(r"([0-9]{1,2})\s*:\s*([0-9]{2})(?:\s*:\s*([0-9]{2}))?\s*(?:([ap])\.?\s?m\.?)?", re.IGNORECASE)
_LONGEST_RATIO = 6


@dataclass(frozen=True)
class Clock:
    hour: int
    minute: int
    second: int
    half: str  # "a", "p" or ""


@dataclass(frozen=True)
class Ratio:
    terms: tuple[Number, ...]


def read_clock(text: str) -> Clock | None:
    """Return the time of day that a text is; two digits of minutes tell it from a ratio."""
    match = _CLOCK.fullmatch(text)
    if not match:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    half = (match[4] or "").lower()
    if hour > (12 if half else 24) or minute > 59 or second > 59:
        return None
    return Clock(hour, minute, second, half)


def is_same_clock(gold: Clock, answer: Clock) -> bool:
    """Compare times of day; a missing a.m. or p.m. is forgiven, and 15:20 is 3:20 p.m."""
    if gold.half and answer.half or not (gold.half or answer.half):
        return gold == answer
    with_half, without = (gold, answer) if gold.half else (answer, gold)
    hour = with_half.hour % 12 + (12 if with_half.half == "p" else 0)
    same_rest = (with_half.minute, with_half.second) == (without.minute, without.second)
    return same_rest and without.hour in (hour, with_half.hour)


def read_ratio(text: str) -> Ratio | None:
    """Return the terms of `3:4:5`; None if one is no number."""
    parts = text.split(":")
    if not 2 <= len(parts) <= _LONGEST_RATIO:
        return None
    terms = [read_number(part.strip()) for part in parts]
    return Ratio(tuple(term for term in terms if term)) if all(terms) else None


def as_ratio(clock: Clock) -> Ratio | None:
    """Return the ratio that `15:20` is as well; None for a time with a.m. or p.m."""
    terms = (clock.hour, clock.minute, *([clock.second] if clock.second else []))
    return None if clock.half else Ratio(tuple(Number(Fraction(term)) for term in terms))


def is_same_ratio(gold: Ratio, answer: Ratio) -> bool:
    """Compare ratios: the same terms, or multiples of them."""
    if len(gold.terms) != len(answer.terms):
        return False
    pairs = [(a.value, b.value) for a, b in zip(gold.terms, answer.terms, strict=True)]
    (first, other), *rest = pairs
    return all((a == 0) == (b == 0) for a, b in pairs) and all(a * other == b * first for a, b in rest)
