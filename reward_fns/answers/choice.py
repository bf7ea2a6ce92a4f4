"""Choices of a multiple-choice question: the letter that an answer names, and the text after it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CHOICE = re.compile(
    r"(?:(?i:option|choice|answer)\s*)?[(\[]?\s*([A-Ja-j])\s*(?:[)\]]?[.:)]?|[)\]]?\s*[.:)\]]\s*(\S.*))"
)
_MORE_LETTERS = re.compile(
    r"[(\[]?\b[A-J]\s*[).:\]]|(?:,|\bor|\band|/)\s*\(?[A-J]\)?(?![\w'])|[A-J](?:\s*[,/]\s*[A-J])*"
)
_LETTER_AND_VALUE = re.compile(
    r"(?P<first>[A-J])\s*(?:,\s*(?P<after>\S.*)|\((?P<inside>.+)\))|(?P<before>.*\S)\s*\(\s*(?P<last>[A-J])\s*\)"
)
_GLUED = re.compile(r"([0-9.]+)([a-zA-Z])")


@dataclass(frozen=True)
class Choice:
    """A letter, as a capital, and what is written after it."""

    letter: str
    text: str
    is_capital: bool


def read_choice(text: str) -> Choice | None:
    """Return the choice that `B`, `(b)`, `B. 12` or `Option B` names; None if it names none, or several."""
    match = _CHOICE.fullmatch(text)
    if not match or match[2] and _MORE_LETTERS.search(match[2]):
        return None
    return Choice(match[1].upper(), match[2] or "", match[1].isupper())


def read_choice_of(text: str, choices: Sequence[str]) -> Choice | None:
    """Return what `read_choice` does, and also of `B, 7`, `B (7)` and `7 (B)`; there must be choices."""
    choice = read_choice(text)
    match = None if choice or not choices else _LETTER_AND_VALUE.fullmatch(text)
    if match is None:
        return choice
    value = match["after"] or match["inside"] or match["before"]
    return None if _MORE_LETTERS.search(value) else Choice(match["first"] or match["last"], value, True)


def value_of(letter: str, choices: Sequence[str]) -> str | None:
    """Return the text of a choice, `34 m` for `34m`; None if there is no such choice."""
    number = ord(letter) - ord("A")
    if number >= len(choices):
        return None
    text = str(choices[number]).strip()
    glued = _GLUED.fullmatch(text)
    return f"{glued[1]} {glued[2]}" if glued else text
