"""Choices of a multiple-choice question: as rows hold them, in the question's text, and the answer among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from data_prep.row.texts import checkable_answer, from_json, text_of
from data_prep.types import Rejection

_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")


def parse_choices(value: Any) -> tuple[str, ...] | None | Rejection:
    """Return the choices of a list, of an object by letter ("A" to "Z", in order), or of JSON text with one of them.

    Nothing, or no choices, is None. A choice that is null, as tables have it for a letter that is not used, is left out
    at the end.
    """
    try:
        value = from_json(value) if value != "" else None
    except ValueError:
        return Rejection("row_malformed", f"choices: got {value[:80]!r}, expected a list")
    if isinstance(value, dict):
        value = {letter: choice for letter, choice in value.items() if choice is not None}
        if "".join(value).upper() != ascii_uppercase[: len(value)]:
            return Rejection("row_malformed", f"choices: got the keys {list(value)}, expected A, B, ..."[:200])
        value = list(value.values())
    if value is not None and not isinstance(value, list):
        return Rejection("row_malformed", f"choices: got {value!r}, expected a list"[:200])
    return tuple(map(text_of, value)) if value else None


def answer_among(choices: Sequence[str], answer: str) -> str | Rejection:
    """Return the answer if it is one of the choices, or their letter as a capital if it is a letter of one.

    A number that counts choices is neither, and is rejected: whether it counts from 0 or from 1 cannot be known.
    """
    if not answer:
        return Rejection("answer_empty")
    if _plain(answer) in map(_plain, choices):
        return answer
    letter = _LETTER.fullmatch(answer)
    if letter and ascii_uppercase.index(letter[1].upper()) < len(choices):
        return letter[1].upper()
    return Rejection("answer_no_choice", f"got {answer[:40]!r} and the choices {list(choices)}"[:200])


def _plain(text: str) -> str:
    bare = checkable_answer(text)
    return (text if isinstance(bare, Rejection) else bare).casefold()


def with_choices(question: str, choices: Sequence[str]) -> str:
    """Return the question with its choices below it, unless its text lists them already."""
    if _listing(choices).search(question):
        return question
    lines = (f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))
    return "\n".join([question, *lines])


def _listing(choices: Sequence[str]) -> re.Pattern[str]:
    """Return the pattern of a list of the choices: one after the other, with only letters, marks or "or" between."""
    items = []
    for number, choice in enumerate(choices):
        letter = ascii_uppercase[number] if number < len(ascii_uppercase) else ""
        words = r"(?:(?:and|or)\W+)?" if number else ""
        items.append(rf"{words}(?:{letter}\W+)?(?<!\w){re.escape(choice)}(?!\w)")
    return re.compile(r"\W*".join(items), re.IGNORECASE)
