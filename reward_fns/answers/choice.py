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


def value_of(letter: str, choices: Sequence[str]) -> str | None:
    """Return the text of a choice, `34 m` for `34m`; None if there is no such choice."""
    number = ord(letter) - ord("A")
    if number >= len(choices):
        return None
    text = str(choices[number]).strip()
    glued = _GLUED.fullmatch(text)
    return f"{glued[1]} {glued[2]}" if glued else text
