"""Pairs the parts of two answers whose order does not count."""

from collections.abc import Callable, Sequence
from typing import Any


def pair_off(gold: Sequence[Any], answer: Sequence[Any], same: Callable[[Any, Any], bool]) -> bool:
    """Return whether each part of the gold has a part of the answer that is the same, and none is left over."""
    if len(gold) != len(answer):
        return False
    rest = list(answer)
    for number, item in enumerate(gold):
        position = min(number, len(rest) - 1) if len(rest) == len(gold) else 0  # its own place first
        others = [*range(position, len(rest)), *range(position)]
        partner = next((i for i in others if same(item, rest[i])), None)
        if partner is None:
            return False
        del rest[partner]
    return True
