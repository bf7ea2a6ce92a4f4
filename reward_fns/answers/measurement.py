r"""Measurements: a value and a unit, `12 cm^2`, `\$5`, `60^\circ`, `50%`, `14^\circ 30'`.

A unit on one side only is forgiven; two different units are different. A percentage is its number (the sign left out)
or its value: 50% is 50 or 0.5, and 5000 is neither.

Letters may be variables as well as units. They are after variables, `\pi r^2 h`, but for `cm` and longer names. After a
root, a fraction or pi, `\frac{1}{2} mg`, and beside one digit, `3m`, they may be either: they are no unit that may be
left out, and other writings are compared in both ways. `40m`, `20m/s` and `3 m` are measurements.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from reward_fns.answers.equation import has_variable
from reward_fns.answers.expression import Expression
from reward_fns.answers.number import Number, read_number
from reward_fns.answers.unit import read_unit

_CURRENCY = re.compile(r"([-+]?)\s*((?:US\s*)?\\\$|\\euro|\\pound|\\yuan)\s*(.+)")
_DEGREES = re.compile(
    r"([-+]?)\s*([0-9]{1,6}(?:\.[0-9]+)?)\s*\^\\circ\s*(?:([0-9]{1,2}(?:\.[0-9]+)?)\s*')"
    r"\s*(?:([0-9]{1,2}(?:\.[0-9]+)?)\s*(?:''|\"))?"
)
_START = re.compile(r"(?<=[0-9)}\]])\s*(?=[^0-9\s.,(){}\[\]])|(?<=\\pi)\s+(?=\S)|\s+(?=\()")
_FACTORS = re.compile(r"(?:[a-zA-Z]|[mnph][gsV]|kT)(?:\^\{-?[0-9]\})?")
_SHORT = re.compile(r"(?<![a-zA-Z\\])(?!(?:[cdkm]m|kg)(?![a-zA-Z]))[a-zA-Z]{1,2}(?![a-zA-Z])")
_DECIMAL = re.compile(r"[-+]?[0-9][0-9., ]*(?:\\(?:times|cdot)\s*10\^\{-?[0-9]+\})?")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_LONGEST_UNIT = 60


@dataclass(frozen=True)
class Measurement:
    """A value and a unit; `product` is the text if the unit's letters may be variables, as in `3m`."""

    value: Number | Expression
    unit: str
    product: str = ""
    is_unit_sure: bool = True


def read_measurement(text: str) -> Measurement | None:
    """Return the value and the unit that a text is; None if it has no unit."""
    match = _DEGREES.fullmatch(text)
    if match:
        parts = match.groups()[1:]
        degrees = sum((Fraction(part) / 60**i for i, part in enumerate(parts) if part), Fraction(0))
        return Measurement(Number(-degrees if match[1] == "-" else degrees), "deg")
    match = _CURRENCY.fullmatch(text)
    if match:
        rest = read_measurement(match[3])  # \$5 million, \$5 dollars, \$5 per hour
        unit = read_unit(match[2].replace(" ", "")) or ""
        if rest and rest.unit not in ("", unit):
            return None
        value = rest.value if rest else _value(match[3])
        if match[1] == "-" and isinstance(value, Number):
            value = replace(value, value=-value.value)
        return Measurement(value, unit) if value else None
    for start in _START.finditer(text, max(0, len(text) - _LONGEST_UNIT)):
        unit_text = text[start.end() :]
        unit = read_unit(unit_text)
        if unit == "deg" and _TRIGONOMETRY.search(text):
            return None  # \cos 60^\circ
        value_text = text[: start.start()].strip()
        value = _value(value_text) if unit is not None else None
        if unit is None or value is None or has_variable(value_text) and _SHORT.search(unit_text):
            continue
        if not _FACTORS.fullmatch(unit_text):
            return Measurement(value, unit)
        is_decimal = bool(_DECIMAL.fullmatch(value_text))
        is_apart = start.end() > start.start()
        has_digits = sum(map(str.isdigit, value_text)) > 1 and unit != "t"  # 60t is a distance after t hours
        return Measurement(value, unit, text, is_decimal and (is_apart or has_digits))
    return None


def is_same_measurement(gold: Any, answer: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Compare two measurements, or a measurement and a bare value."""
    gold, answer = _as_measurement(gold), _as_measurement(answer)
    products = [Expression(each.product) if each.product else each.value for each in (gold, answer)]
    if gold.unit and answer.unit and gold.unit != answer.unit:
        return bool(gold.product and answer.product) and same(*products)
    if bool(gold.unit) != bool(answer.unit):
        bare = answer.value if gold.unit else gold.value
        if (gold.product or answer.product) and isinstance(bare, Expression) and has_variable(bare.latex):
            return same(*products)
        if not (gold.is_unit_sure and answer.is_unit_sure):
            return False
    if (
        (gold.unit == "%") != (answer.unit == "%")
        and isinstance(gold.value, Number)
        and isinstance(answer.value, Number)
    ):
        percentage, number = (gold.value, answer.value) if gold.unit == "%" else (answer.value, gold.value)
        share = replace(percentage, value=percentage.value / 100, step=percentage.step and percentage.step / 100)
        return same(percentage, number) or same(share, number)
    return same(gold.value, answer.value)


def _as_measurement(answer: Any) -> Measurement:
    return answer if isinstance(answer, Measurement) else Measurement(answer, "")


def _value(text: str) -> Number | Expression | None:
    """Return the value before a unit: a number, or an expression without words and relations."""
    number = read_number(text)
    if number:
        return number
    is_expression = not re.search(
        r"[=<>:]|\\(?:le|ge|ne|approx|pm|in|cup)(?![a-zA-Z])|,|(?<![\\a-zA-Z{])[a-zA-Z]{3,}", text
    )
    return Expression(text) if text and is_expression else None
