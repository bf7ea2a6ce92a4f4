r"""Numbers that need no algebra: integers, decimals, fractions, mixed numbers, `3\times10^{5}`, `0.\overline{3}`.

They are kept as exact fractions. Two numbers are the same if the fractions are; or if one is written as a decimal of at
least DIGITS significant digits and the other, rounded to its last digit, gives it: 0.333333 is 1/3, 0.33 is not. There
is no other tolerance, so tiny numbers are told apart.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

DIGITS = 6  # significant digits from which on a decimal may be a rounded value
_LARGEST_EXPONENT = 400  # of 10; larger ones are compared by algebra

_DECIMAL = re.compile(r"([-+]?)\s*([0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})")
_SPACED = re.compile(r"[-+]?[1-9][0-9]{0,2}(?: [0-9]{3})+(?:\.[0-9]+)?")  # 1 000
_REPEATING = re.compile(
    r"([-+]?)\s*([0-9]{0,20})\.([0-9]{0,20}?)\s*(?:\\overline\s*(?:\{\s*([0-9]{1,20})\s*\}|([0-9]))"
    r"|\\dot\s*\{?\s*([0-9])\s*\}?(?:([0-9]{0,20})\s*\\dot\s*\{?\s*([0-9])\s*\}?)?)"
)
_FRACTION = re.compile(
    r"(?P<sign>[-+]?)\s*(?:(?P<whole>[0-9]{1,30})(?:\s+|(?=\\)))?"
    r"(?:\\frac\s*\{\s*(?P<above>[-+]?[0-9]{1,60})\s*\}\s*\{\s*(?P<below>[-+]?[0-9]{1,60})\s*\}"
    r"|(?P<over>[0-9]{1,60})\s*/\s*(?P<under>[0-9]{1,60}))"
)
_SCIENTIFIC = re.compile(
    r"(?P<sign>[-+]?)\s*(?:(?P<value>[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})\s*(?:[eE]\s*(?P<e>[-+]?[0-9]{1,4})|"
    r"(?:\\times|\\cdot|\*|x)\s*(?=10)))?(?(e)|10\s*\^\s*\{?\s*(?P<exponent>[-+]?[0-9]{1,4})\s*\}?)"
)
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: number for number, word in enumerate(_ONES)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "万": 4, "亿": 8}
_SCALED = re.compile(r"(.*[0-9}a-z])\s*\b(hundred|thousand|million|billion|trillion)s?|(.*[0-9])\s*(万|亿)")


@dataclass(frozen=True)
class Number:
    """An exact value, and of a decimal the value of one unit in its last digit (else None)."""

    value: Fraction
    step: Fraction | None = None


def read_number(text: str) -> Number | None:
    """Return the number that a text is; None if it is none or needs algebra."""
    if not text[:1] or len(text) > 200:
        return None
    match = _DECIMAL.fullmatch(text.replace(" ", "") if _SPACED.fullmatch(text) else text)
    if match:
        digits = match[2].removesuffix(".")
        _, point, decimals = digits.partition(".")
        return Number(Fraction(match[1] + digits), Fraction(1, 10 ** len(decimals)) if point else None)
    return _fraction(text) or _scientific(text) or _repeating(text) or _in_words(text)


def is_same_number(gold: Number, answer: Number) -> bool:
    """Return whether two numbers are equal, or one is the other, rounded to at least DIGITS digits."""
    return gold.value == answer.value or _rounds_to(gold.value, answer) or _rounds_to(answer.value, gold)


def is_rounding(value: Fraction, decimal: Number) -> bool:
    """Return whether a value, rounded to the digits of a decimal or whole number, gives it."""
    return abs(value - decimal.value) * 2 <= (decimal.step or 1)


def latex_of(number: Number) -> str:
    """Return a number as LaTeX, a decimal with its digits."""
    if number.step is None or number.step >= 1:
        return str(number.value.numerator) if number.value.denominator == 1 else _latex_fraction(number.value)
    decimals = len(str(number.step.denominator)) - 1
    digits = str(abs(int(number.value / number.step))).zfill(decimals + 1)
    return f"{'-' if number.value < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


def _latex_fraction(value: Fraction) -> str:
    return rf"{'-' if value < 0 else ''}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _rounds_to(value: Fraction, decimal: Number) -> bool:
    if decimal.step is None or abs(decimal.value) < decimal.step * 10 ** (DIGITS - 1):
        return False
    return is_rounding(value, decimal)


def _fraction(text: str) -> Number | None:
    match = _FRACTION.fullmatch(text)
    if not match:
        return None
    above, below = int(match["above"] or match["over"]), int(match["below"] or match["under"])
    if not below or (match["whole"] and (above < 0 or below < 0)):
        return None
    value = int(match["whole"] or 0) + Fraction(above, below)
    return Number(-value if match["sign"] == "-" else value)


def _scientific(text: str) -> Number | None:
    match = _SCIENTIFIC.fullmatch(text)
    if not match:
        return None
    exponent = int(match["e"] or match["exponent"])
    if abs(exponent) > _LARGEST_EXPONENT:
        return None
    factor = Fraction(10) ** exponent
    mantissa = read_number(match["value"] or "1")
    assert mantissa
    value = mantissa.value * factor
    return Number(-value if match["sign"] == "-" else value, mantissa.step and mantissa.step * factor)


def _repeating(text: str) -> Number | None:
    match = _REPEATING.fullmatch(text)
    if not match:
        return None
    sign, whole, fixed = match[1], match[2] or "0", match[3]
    period = match[4] or match[5] or match[6] + (match[7] or "") + (match[8] or "")
    digits = Fraction(int(whole + fixed)) + Fraction(int(period), 10 ** len(period) - 1)
    value = digits / 10 ** len(fixed)
    return Number(-value if sign == "-" else value)


def _in_words(text: str) -> Number | None:
    """Return the number of `twelve`, `twenty-five` or `12 million`."""
    scaled = _SCALED.fullmatch(text)
    if scaled:
        number = read_number((scaled[1] or scaled[3]).strip())
        return number and Number(number.value * 10 ** _SCALES[scaled[2] or scaled[4]])
    sign = re.match(r"(?:negative|minus) ", text, re.IGNORECASE)
    if sign:
        number = _in_words(text[sign.end() :])
        return number and Number(-number.value)
    words = re.split(r"\s+|(?<=y)-", text.lower())
    values = [_WORDS.get(word, -1) for word in words]
    if len(values) == 1 and values[0] >= 0:
        return Number(Fraction(values[0]))
    if len(values) == 2 and values[0] >= 20 and 1 <= values[1] <= 9:
        return Number(Fraction(sum(values)))
    return None
