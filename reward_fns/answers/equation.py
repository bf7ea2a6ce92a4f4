r"""Equations: a named value `x = 3`, a chain of equal values, a value and its rounding, and equations of variables.

- A name is a letter, points of a figure, `f(x)`, `\angle A`, `\sin A` or one of some nouns. On one side only it is
  dropped; two different names are different answers, but `f(x)` may be called `y`, and `AB` may be called `BA`.
  `\sqrt{x} = 3` and `not = 3` name nothing.
- In a chain `1+2 = 3` each member must be the gold value, so `5 = 3` is not 3.
- `2\sqrt{2} \approx 2.83` is `2\sqrt{2}` if that rounds to 2.83.
- An equation without variables is compared member by member as it is written, and never decided by solving it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reward_fns.answers.number import Number
from reward_fns.answers.splitting import split_outside
from reward_fns.answers.words import is_prose

_GREEK = r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|omega|phi|varphi|rho|sigma|xi|eta|psi|Delta|Omega)"
_INDEX = r"(?:_\{[^{}]{1,12}\}|')*"
_POINTS = rf"(?:[A-Z]{_INDEX}\s*){{1,5}}"
_LETTER = rf"(?:[A-Za-z]|{_GREEK})\s*{_INDEX}"
_ANGLE = rf"(?:m\s*)?\\angle\s*(?:{_POINTS}|[a-z]|{_GREEK}|\d{{1,2}})"
_NOUN = (
    "answer|result|area|perimeter|circumference|volume|length|width|height|radius|diameter|distance|slope|angle|sum|total|"
    "product|difference|average|mean|median|mode|range|probability|speed|time|cost|price|number|ratio|面积|周长|体积|长度|角度"
)
_NAME = re.compile(
    rf"{_LETTER}|{_POINTS}|{_ANGLE}|\|\s*{_POINTS}\s*\||\\(?:overline|vec|overrightarrow)\s*\{{{_POINTS}\}}"
    rf"|\\(?:triangle|odot)\s*{_POINTS}|{_LETTER}(?:\^\{{-1\}})?\s*\(\s*(?:{_LETTER}|\d{{1,4}})\s*\)"
    rf"|\\(?:sin|cos|tan|cot)\s*(?:{_POINTS}|{_ANGLE}|{_GREEK}|[a-z])"
    rf"|\(\s*{_LETTER}\s*(?:,\s*{_LETTER}\s*){{1,3}}\)|(?:(?:the|The) )?(?i:{_NOUN})"
)
_RATIO_OF_POINTS = re.compile(rf"\\frac\{{\s*({_POINTS})\}}\{{\s*({_POINTS})\}}")
_NAMED_POINTS = re.compile(r"(m?\\angle|\\overline|\|)?((?:[A-Z](?:_[a-z0-9]{1,12}|')*){2,5})(\|)?")
_NAMED_POINT = re.compile(r"[A-Z][^A-Z]*")
_LABEL = re.compile(r"([A-Za-z]{1,15})\s*:\s*(\S.*)")
_POINT = re.compile(rf"([A-Z]{_INDEX})\s*(\(.+,.+\))")
_JOINT = re.compile(r"=|\\approx(?![a-zA-Z])")
_VARIABLE = re.compile(rf"[a-zA-Z]|{_GREEK}")
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Named:
    """A value with a name, or with a label that may say anything, such as `Alice`."""

    name: str
    value: Any
    latex: str
    is_label: bool = False


@dataclass(frozen=True)
class Chain:
    members: tuple[Any, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Approximation:
    exact: Any
    rounded: Number


@dataclass(frozen=True)
class Equation:
    latex: str


def read_equation(text: str, read: Callable[[str], Any]) -> Named | Chain | Approximation | Equation | None:
    """Return what a text with `=` or `\\approx` says; None if there is none of them, or nothing on one side."""
    sides, joints = split_outside(text, _JOINT)
    if not joints or not all(sides):
        return None
    if is_name(sides[0]):
        rest = text[_JOINT.search(text).end() :].strip()  # type: ignore[union-attr]
        return Named(_plain(sides[0]), read(rest), text)
    if joints[-1] == r"\approx" and joints.count(r"\approx") == 1:
        last = read(sides[-1])
        rounded = last if isinstance(last, Number) else getattr(last, "value", None)
        exact = text[: text.rindex(r"\approx")].strip()
        return Approximation(read(exact), rounded) if isinstance(rounded, Number) else None
    if r"\approx" in joints:
        return None
    if len(sides) == 2 and is_name(sides[1]):
        return Named(_plain(sides[1]), read(sides[0]), text)
    if has_variable(text):
        return Equation(text) if len(sides) == 2 and not is_prose(text) else None
    return Chain(tuple(read(side) for side in sides), tuple(_plain(side) for side in sides))


def read_label(text: str, read: Callable[[str], Any]) -> Named | None:
    """Return the name and value of `J: 4 hr`, of `Alice: 4`, or of a point with its coordinates, `P(3,4)`."""
    match = _POINT.fullmatch(text) or _LABEL.fullmatch(text)
    return Named(match[1], read(match[2]), text, not is_name(match[1])) if match else None


def is_name(text: str) -> bool:
    """Return whether a text is a name, or a ratio of names: `V_1:V_2`, `\\frac{AB}{CD}`."""
    fraction = _RATIO_OF_POINTS.fullmatch(text)
    names = [fraction[1], fraction[2]] if fraction else text.split(":")
    return len(text) <= _LONGEST_NAME and all(_NAME.fullmatch(name.strip()) for name in names)


def has_variable(latex: str) -> bool:
    """Return whether an expression has a letter that is no command and no constant pi."""
    return bool(_VARIABLE.search(re.sub(r"\\(?!" + _GREEK[2:] + r"(?![a-zA-Z]))[a-zA-Z]+", " ", latex)))


def is_same_name(gold: str, answer: str) -> bool:
    """Return whether two names are the same: `AB` reads the same backwards, and `f(x)` may be called `y`."""
    return gold in (answer, _backwards(answer)) or {gold, answer} == {"y", "fx"}


def _backwards(name: str) -> str:
    """Return the name of a segment or an angle with its points in the other direction."""
    match = _NAMED_POINTS.fullmatch(name)
    if not match:
        return name
    return (match[1] or "") + "".join(reversed(_NAMED_POINT.findall(match[2]))) + (match[3] or "")


def _plain(text: str) -> str:
    return re.sub(r"[\s{}()]", "", text)


def is_same_chain(gold: Chain, answer: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Compare an equation without variables: as it is written, or by value if all its members are one number."""
    if isinstance(answer, Chain):
        return gold.texts in (answer.texts, answer.texts[::-1])
    first, *rest = gold.members
    return isinstance(first, Number) and all(same(first, member) for member in rest) and same(first, answer)
