r"""Several values: lists `3, 5`, sets `\{3, 5\}`, tuples `(3, 5)`, parts `(1) 3 (2) 5` and the two values of `\pm`.

| kind | written as | order |
|---|---|---|
| `list`, `set` | `3, 5`, `3 or 5`, `\{3, 5\}`, `\pm 3`, `x=3, y=5; x=4, y=1` | any, but for unsorted letters |
| `parts` | `3; 5`, `(1) 3 (2) 5` | theirs |
| `either` | `A or C` | any; never the same as `A, C`: it does not commit to both |
| `tuple` | `(3, 5)`, `\langle 3, 5\rangle`, `[3, 5, 7]` | theirs; never the same as a list or a set |

A tuple is the same as values with names, `x=3, y=5`, in the alphabetical order of the names, or in that of
`(y, x) = (5, 3)`. Numbers of statements, `(1)(3)`, `①③` and `1, 3`, are a list.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from unicodedata import numeric

from reward_fns.answers.equation import Named, is_name
from reward_fns.answers.number import Number
from reward_fns.answers.pairing import pair_off
from reward_fns.answers.splitting import inside_brackets, split_outside
from reward_fns.answers.words import Words

MOST_ITEMS = 50  # longer lists are compared as texts

_LABEL = re.compile(r"\(([1-9])\)")
_LETTER_LABEL = re.compile(r"\(([A-J])\)|(?<![\w\\'])([A-J])[).:](?!\d)")
_JOINT = re.compile(r",|;|\band\b|\bor\b|&|\\\\")
_JOINT_OF_SOLUTIONS = re.compile(r";|\band\b|\bor\b")
_EQUALS = re.compile("=")
_SEPARATOR = re.compile("[,;]")
_PLUS_MINUS = re.compile(r"\\pm(?![a-zA-Z])")
_MINUS_PLUS = re.compile(r"\\mp(?![a-zA-Z])")
_CIRCLED = re.compile(r"[①-⑳](?:\s*[,和]?\s*[①-⑳])*")
_STATEMENTS = re.compile(r"\([1-9]\)(?:\s*\([1-9]\))+")
_TUPLES = ((r"\langle", r"\rangle"), ("(", ")"), ("[", "]"))
_CAPITAL = re.compile(r"\(?[A-J]\)?")
_CHOICES = re.compile(r"[a-j]")


@dataclass(frozen=True)
class AnswerSequence:
    items: tuple[Any, ...]
    kind: str  # "list", "set", "parts", "tuple" or "either"


def read_sequence(text: str, read: Callable[[str], Any]) -> AnswerSequence | None:
    """Return the values of a text with joints outside of brackets, or in one pair of them; None if it has none."""
    if _STATEMENTS.fullmatch(text):
        return AnswerSequence(tuple(Number(Fraction(number)) for number in _LABEL.findall(text)), "list")
    if text.startswith("(1)") and "(2)" in text:
        return _sequence(_LABEL.split(text)[2::2], "parts", read)
    labels = list(_LETTER_LABEL.finditer(text))
    if len(labels) > 1 and labels[0].start() == 0:
        ends = [*(label.start() for label in labels[1:]), len(text)]
        parts = [text[label.end() : end].strip(" ,;") for label, end in zip(labels, ends, strict=True)]
        names = [label[1] or label[2] for label in labels]
        named = [Named(name, read(part), part) for name, part in zip(names, parts, strict=True)]
        return AnswerSequence(tuple(named), "list") if all(parts) else None
    if _CIRCLED.fullmatch(text):
        return AnswerSequence(tuple(Number(Fraction(numeric(sign))) for sign in text if "①" <= sign <= "⑳"), "list")
    parts, joints = split_outside(text, _JOINT)
    if "or" in joints and all(map(_CAPITAL.fullmatch, parts)):
        return _sequence(parts, "either", read)
    if joints:
        solutions, _ = split_outside(text, _JOINT_OF_SOLUTIONS)
        if len(solutions) > 1 and all("=" in solution and "," in solution for solution in solutions):
            return _sequence(solutions, "list", read)
        return _sequence(parts, "parts" if ";" in joints else "list", read)
    inside = inside_brackets(text, r"\{", r"\}")
    if inside:
        parts, _ = split_outside(inside, _SEPARATOR)
        return _sequence(parts, "set", read)
    named = _tuple_with_names(text, read)
    if named:
        return named
    for opening, closing in _TUPLES:
        inside = inside_brackets(text, opening, closing)
        parts, joints = split_outside(inside, _SEPARATOR) if inside else ([], [])
        if joints and all(parts):
            return _sequence(parts, "tuple", read)
    return None


def read_plus_minus(text: str, read: Callable[[str], Any]) -> AnswerSequence | None:
    r"""Return the two values of a text with `\pm`; None if it has none."""
    if not _PLUS_MINUS.search(text):
        return None
    upper = _MINUS_PLUS.sub("-", _PLUS_MINUS.sub("+", text))
    lower = _MINUS_PLUS.sub("+", _PLUS_MINUS.sub("-", text))
    return AnswerSequence((read(upper), read(lower)), "list")


def is_same_sequence(gold: AnswerSequence, answer: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Compare two sequences; a set or list of one value is that value."""
    if not isinstance(answer, AnswerSequence):
        items = _letters(answer) if _letters(gold) else None
        if items is None:
            return len(gold.items) == 1 and gold.kind != "tuple" and same(gold.items[0], answer)
        answer = AnswerSequence(items, "list")
    if (gold.kind == "either") != (answer.kind == "either"):
        return False
    names = _names(gold)
    if names and sorted(names) == sorted(_names(answer)):
        gold, answer = _by_names(gold), _by_names(answer)
    elif (gold.kind == "tuple") != (answer.kind == "tuple"):
        if gold.kind == "tuple":
            answer = _by_names(answer)
        else:
            gold = _by_names(gold)
        if (gold.kind == "tuple") != (answer.kind == "tuple"):
            return False
    if len(gold.items) != len(answer.items):
        return False
    if _are_roots(gold, answer):
        gold, answer = (AnswerSequence(tuple(item.value for item in each.items), "list") for each in (gold, answer))
    if gold.kind in ("tuple", "parts") or _is_ordered(gold, answer):
        return all(same(a, b) for a, b in zip(gold.items, answer.items, strict=True))
    return pair_off(gold.items, answer.items, same)


def _sequence(parts: list[str], kind: str, read: Callable[[str], Any]) -> AnswerSequence | None:
    texts = [stripped for part in parts if (stripped := part.rstrip(" .,;:").lstrip(" ,;:"))]
    if not texts or len(texts) > MOST_ITEMS or len(texts) == 1 and kind != "set":
        return None
    items: list[Any] = []
    for text in texts:
        item = read(text)
        items += (
            item.items if kind in ("list", "set") and isinstance(item, AnswerSequence) and r"\pm" in text else [item]
        )
    return AnswerSequence(tuple(items), kind)


def _tuple_with_names(text: str, read: Callable[[str], Any]) -> AnswerSequence | None:
    """Return the tuple of `(x, y) = (1, 2)`, whose values have their names."""
    sides, joints = split_outside(text, _EQUALS)
    if len(joints) != 1:
        return None
    inside = [inside_brackets(side, "(", ")") for side in sides]
    names, values = [split_outside(part, _SEPARATOR)[0] if part else [] for part in inside]
    if not all(map(is_name, names)):
        names, values = values, names
    if len(names) != len(values) or len(names) < 2 or not all(map(is_name, names)):
        return None
    return AnswerSequence(tuple(read(f"{name}={value}") for name, value in zip(names, values, strict=True)), "tuple")


def _names(sequence: AnswerSequence) -> list[str]:
    """Return the names of the values; empty if one has none, or two have the same."""
    names = [item.name for item in sequence.items if isinstance(item, Named)]
    return names if len(names) == len(set(names)) == len(sequence.items) else []


def _by_names(sequence: AnswerSequence) -> AnswerSequence:
    """Return named values as a tuple in the alphabetical order of their names; others as they are."""
    if not _names(sequence):
        return sequence
    return AnswerSequence(tuple(sorted(sequence.items, key=lambda item: item.name)), "tuple")


def _are_roots(gold: AnswerSequence, answer: AnswerSequence) -> bool:
    """Return whether all values are of one variable, so that `x=1, x=3` is `x_1=1, x_2=3`, in either order.

    Both sides may have indices only if the variable is `x`: `a_1` and `a_2` are terms, whose order counts.
    """
    sides = [[item.name for item in each.items if isinstance(item, Named)] for each in (gold, answer)]
    if any(len(names) < len(each.items) for names, each in zip(sides, (gold, answer), strict=True)):
        return False
    variables = {name.partition("_")[0] for names in sides for name in names}
    return variables == {"x"} or len(variables) == 1 and any("_" not in "".join(names) for names in sides)


def _is_ordered(gold: AnswerSequence, answer: AnswerSequence) -> bool:
    """Return whether the order of a list says something.

    It does for letters that are not in alphabetical order, and for values whose different names the answer left out
    (`x_1` and `x_2` are no different names).
    """
    letters = [item.text for item in gold.items if isinstance(item, Words) and len(item.text) == 1]
    names = {item.name[0] for item in gold.items if isinstance(item, Named)}
    if len(names) == len(gold.items):
        return not all(isinstance(item, Named) for item in answer.items)
    return len(letters) == len(gold.items) > 2 and letters != sorted(letters)


def _letters(answer: Any) -> tuple[Words, ...] | None:
    """Return the letters of several choices: of `A, C`, or of `AC` and `A/C`."""
    if isinstance(answer, AnswerSequence):
        texts = [item.text if isinstance(item, Words) else "" for item in answer.items]
        return answer.items if answer.kind in ("list", "set") and all(map(_CHOICES.fullmatch, texts)) else None
    letters = answer.text.replace("/", "") if isinstance(answer, Words) else ""
    is_run = len(letters) > 1 and all(map(_CHOICES.fullmatch, letters)) and list(letters) == sorted(set(letters))
    return tuple(map(Words, letters)) if is_run else None
