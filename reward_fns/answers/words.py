"""Words, points of a figure (`AB`) and other texts that are compared letter by letter, whatever their case."""

import re
from dataclasses import dataclass, field

_WORDS = re.compile(r"[^\W\d_]+(?:[ '/-]+[^\W\d_]+)*")
_WORD = re.compile(r"(?<![\\{a-zA-Z])[a-zA-Z]{3,}")  # not `\begin{cases}`
_SPELLED_WORD = re.compile(r"(?<![\\{a-zA-Z])(?=[a-zA-Z]{3})(?:[A-Z]?[a-z]+|[A-Z]+)(?![a-zA-Z])")  # not `nRT`
_HYPHENATED = re.compile(r"[0-9.]+(?:\s*-\s*[0-9.]+)+|[0-9.]+ to [0-9.]+")  # 20-30, 5-2-3-1-4
_PROGRAM = re.compile(r"0[xXbBoO][0-9a-fA-F]+")  # no product of 0
_SENTENCE = re.compile(r"[^\d\\={}<>^_|+*]+")
_SYMBOLS = re.compile(r"[A-Za-z]|[A-Z]{2,5}|[A-Z]{1,2}/[A-Z]{1,2}")
_ARTICLE = re.compile(r"(?:an?|the) (?=\w{2})", re.IGNORECASE)
_MEANINGS = {
    "no solution": r"\emptyset",
    "no solutions": r"\emptyset",
    "no real solution": r"\emptyset",
    "no real solutions": r"\emptyset",
    "there is no solution": r"\emptyset",
    "there are no solutions": r"\emptyset",
    "there are no real solutions": r"\emptyset",
    "empty set": r"\emptyset",
    "none": r"\emptyset",
    r"\{ \}": r"\emptyset",
    r"\{\}": r"\emptyset",
    "无解": r"\emptyset",
    "空集": r"\emptyset",
    "does not exist": "DNE",
    "integers": r"\mathbb{Z}",
    "all integers": r"\mathbb{Z}",
    "整数": r"\mathbb{Z}",
}


@dataclass(frozen=True)
class Words:
    """Words in lower case; `latex` is a text with its case, which is an expression as well if `is_symbolic`."""

    text: str
    latex: str = field(default="", compare=False)

    @property
    def is_symbolic(self) -> bool:
        """Whether the text may be a variable, a segment `AB`, a product of quantities `IR`, or a quotient `V/R`."""
        return bool(_SYMBOLS.fullmatch(self.latex))


@dataclass(frozen=True)
class Unreadable:
    """Prose with numbers, or no complete LaTeX: the same as nothing but its own text."""

    text: str


def read_words(text: str) -> Words | None:
    """Return words, a run of capitals, a single letter, or a range `20-30`; None for anything else.

    `ab` is no word but a product; a text with a digit is none, either, but for ranges, which are no differences.
    """
    plain = _ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text
    meaning = _MEANINGS.get(plain.casefold(), plain)
    if plain.casefold() in _MEANINGS or plain in _MEANINGS.values():
        return Words(meaning)
    if _PROGRAM.fullmatch(text):
        return Words(text)
    if _HYPHENATED.fullmatch(text):
        return Words(re.sub(r"\s*(?:-|to)\s*", "-", text))
    if is_prose(plain) and _SENTENCE.fullmatch(plain):
        return Words(" ".join(plain.casefold().rstrip("?!").split()))
    is_words = bool(_WORDS.fullmatch(plain)) and (
        plain.isupper()
        or len(plain) == 1
        or plain.casefold() == "no"
        or bool(_SPELLED_WORD.search(plain))
        or not plain.isascii()
    )
    return Words(" ".join(plain.casefold().split()), text) if is_words else None


def is_prose(text: str) -> bool:
    """Return whether a text has several words, or a long one, that are no LaTeX commands and no points (`ABC`)."""
    words = [word for word in _WORD.findall(text) if len(word) > 4 or not word.isupper()]
    return len(words) > 1 or any(len(word) > 4 for word in words)
