"""Numbers with a base, `204_5`: the digits and the base are compared as they are written."""

import re
from dataclasses import dataclass

_BASED = re.compile(
    r"\(?\s*([0-9A-Z]{1,60}(?:\.[0-9A-Z]{1,30})?)\s*\)?\s*_\{\s*\(?\s*(?:([0-9]{1,2})|([a-z]{3,8}))\s*\)?\s*\}"
)
_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}


@dataclass(frozen=True)
class Based:
    digits: str
    base: int


def read_based(text: str) -> Based | None:
    """Return the digits and the base of `204_5`; None for anything else, such as a point `A_1`."""
    match = _BASED.fullmatch(text)
    if not match or not match[1][0].isdigit():
        return None
    base = int(match[2]) if match[2] else _WORDS.get(match[3], 0)
    return Based(match[1], base) if base > 1 else None
