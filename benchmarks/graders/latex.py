"""Writes parts of golds as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction


def decimal(digits: int, places: int) -> str:
    """Return `12.34` for (1234, 2)."""
    if not places:
        return f"{digits}"
    text = f"{abs(digits):0{places + 1}d}"
    return f"{'-' if digits < 0 else ''}{text[:-places]}.{text[-places:]}"


def fraction(value: Fraction) -> str:
    r"""Return `-\frac{3}{4}`, or a whole number."""
    if value.denominator == 1:
        return f"{value.numerator}"
    return f"{'-' if value < 0 else ''}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def square_part(number: int) -> tuple[int, int]:
    r"""Return (a, b) with `\sqrt{number} = a\sqrt{b}` and b without a square factor; number is positive."""
    outside, inside = 1, number
    for factor in range(2, int(number**0.5) + 1):
        while inside % (factor * factor) == 0:
            inside //= factor * factor
            outside *= factor
    return outside, inside


def sum_of(terms: Iterable[tuple[int, str]]) -> str:
    """Return `3x^2-x+5` for [(3, "x^2"), (-1, "x"), (5, "")]; terms with coefficient 0 are left out."""
    text = ""
    for coefficient, variable in terms:
        if coefficient:
            size = "" if abs(coefficient) == 1 and variable else f"{abs(coefficient)}"
            text += ("-" if coefficient < 0 else "+" if text else "") + size + variable
    return text or "0"
