r"""Numbers in short answers: with a unit, as a fraction, a power of ten, a percentage, or in a list.

`x_1 = 1.4 \times 10^3 m^2` is 1400. Products, quotients, powers, roots and pi are computed; sums are not, since "7 - 8"
is as often a range. An answer with two numbers that no operation joins, two signs or an inequality is not read.
"""

from __future__ import annotations

import math
import re

from reward_fns.answers.text import clean

LONGEST = 200  # characters of an answer that is read
_LARGEST = 1e15  # beyond it, floats do not hold every integer

_SPACED_THOUSANDS = re.compile(r"(?<=\d)(?:\\,|\\!|\{,\})(?=\d{3})")
_SEPARATORS = re.compile(r"(?:,\s*)?(?<![a-zA-Z])(?:and|to)(?![a-zA-Z])|[;、]")
_DEGREES = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})")
_SHORT_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)")
_INDEX = re.compile(r"_\s*(?:\{[^{}]*\}|\w)")
_UNIT_POWER = re.compile(r"(?<!\\pi)(?<=[a-zA-Z])\s*\^\s*(?:\{\s*[-+]?\d+\s*\}|[-+]?\d+)")
_UNIT_DIGIT = re.compile(r"(?<![\\a-zA-Z])((?![eE]\d)[a-zA-Z]{1,3})\d(?![\d.])")  # "cm2", but not "1e5"
_ARITHMETIC = re.compile(r"(?:[-+*/^(){}.\d\s]|\\(?:frac|times|cdot|div|sqrt|pi)(?![a-zA-Z]))*")
_TOKEN = re.compile(
    r"\s*((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?|\\(?:frac|times|cdot|div|sqrt|pi)(?![a-zA-Z])|[-+*/^(){}])"
)
_START = re.compile(r"(?:(?<![\w)}])[-+]\s*)?(?:\d|\.\d|\\(?:frac|sqrt|pi)(?![a-zA-Z])|\((?=\s*[-+]?\d))")
_PERCENT = re.compile(r"\s*(?:\\?%|percent)")
_NOT_ONE_VALUE = re.compile(r"[<>±]|\\(?:pm|mp|le|ge|ne|leq|geq|neq)(?![a-zA-Z])")
_NUMBER_FOLLOWS = re.compile(r"\s*(?:[-+.(\d{]|\\(?:frac|sqrt|pi)(?![a-zA-Z]))")
_BRACKETED = re.compile(r"[\[(]([^\[\]()]*,[^\[\]()]*)[\])]")
_BRACES = str.maketrans({"{": "[", "}": "]"})


def numbers_in(text: str) -> list[float] | None:
    """Return the values of an answer that is one number, of a percentage also its hundredth; None if it is not one."""
    if len(text) > LONGEST:
        return None
    return _values(clean(_SPACED_THOUSANDS.sub("", text)))


def listed_numbers(text: str) -> list[float] | None:
    r"""Return the numbers of a list in any brackets or none, `\{2, 5\}` or "2 and 5"; None if it is not a list."""
    if len(text) > LONGEST:
        return None
    text = re.sub(r"\\(?:left|right)(?![a-zA-Z])", "", text)
    text = re.sub(r"\\[{}]", lambda brace: brace[0][1].translate(_BRACES), text)
    text = clean(_SEPARATORS.sub(",", text))
    bracketed = list(_BRACKETED.finditer(text))
    if bracketed:
        match = bracketed[-1]
        if re.search(r"\d", text[: match.start()] + text[match.end() :]):
            return None
        text = match[1]
    items = [_values(item) for item in text.split(",")]
    return [item[0] for item in items if item] if all(items) else None


def _values(text: str) -> list[float] | None:
    if _NOT_ONE_VALUE.search(text):
        return None
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", _DEGREES.sub("", text))
    text = _UNIT_DIGIT.sub(r"\1", _UNIT_POWER.sub("", _INDEX.sub("", _TIMES_TEN.sub(r" \\times ", text))))
    *names, text = text.split("=")
    if any(re.search(r"\d", name) and not _ARITHMETIC.fullmatch(name) for name in names):
        return None
    start = _START.search(text)
    if start is None or re.search(r"\d", text[: start.start()]):
        return None
    reader = _Product(text, start.start())
    try:
        value = reader.signed()
    except (ValueError, ArithmeticError, RecursionError):
        return None
    if re.search(r"\d|\\(?:frac|sqrt|pi)(?![a-zA-Z])", text[reader.end :]) or not abs(value) < _LARGEST:
        return None
    return [value, value / 100] if _PERCENT.match(text, reader.end) else [value]


class _Product:
    """Reads a product from a position of a text; `end` is where the text goes on.

    Raises:
        ValueError: what is there is no product, or its power is not a real number.
        ArithmeticError: it has no finite value.
    """

    def __init__(self, text: str, start: int):
        self.text, self.end = text, start

    def signed(self) -> float:
        sign = self._next("+", "-")
        value = self._product()
        return -value if sign == "-" else value

    def _product(self) -> float:
        value = self._power()
        while True:
            token = self._peek()
            if token in ("*", "\\times", "\\cdot"):
                self._next(token)
                value *= self._power()
            elif token in ("/", "\\div") and self._number_follows(token):
                self._next(token)
                value /= self._power()
            elif token in ("\\sqrt", "\\pi") or (token == "(" and self._number_follows(token)):
                value *= self._power()
            else:
                return value

    def _number_follows(self, token: str) -> bool:
        """Return whether a number follows the next token; in "5 m/s" and "5 (m)" it does not."""
        return bool(_NUMBER_FOLLOWS.match(self.text, self.text.index(token, self.end) + len(token)))

    def _power(self) -> float:
        base = self._atom()
        if not self._next("^"):
            return base
        power = self._braced() if self._peek() == "{" else self._exponent()
        value = base**power
        if isinstance(value, complex):
            raise ValueError("a root of a negative number")
        return value

    def _atom(self) -> float:
        token = self._next()
        if token is None:
            raise ValueError("no number")
        if token == "\\frac":
            return self._braced() / self._braced()
        if token == "\\sqrt":
            return math.sqrt(self._braced())
        if token == "\\pi":
            return math.pi
        if token in ("(", "{"):
            return self._until({"(": ")", "{": "}"}[token])
        value = float(token)
        if token.isdigit() and self._peek() == "\\frac":  # a mixed number
            return value + self._atom()
        mixed = re.match(r"\s+(\d+)\s*/\s*(\d+)", self.text[self.end :]) if token.isdigit() else None
        if mixed:
            self.end += mixed.end()
            return value + int(mixed[1]) / int(mixed[2])
        return value

    def _exponent(self) -> float:
        sign = self._next("+", "-")
        value = float(self._next() or "")
        return -value if sign == "-" else value

    def _braced(self) -> float:
        if not self._next("{"):
            raise ValueError("no brace")
        return self._until("}")

    def _until(self, closing: str) -> float:
        value = self.signed()
        if not self._next(closing):
            raise ValueError(f"no {closing}")
        return value

    def _peek(self) -> str | None:
        match = _TOKEN.match(self.text, self.end)
        return match[1] if match else None

    def _next(self, *expected: str) -> str | None:
        match = _TOKEN.match(self.text, self.end)
        if match is None or (expected and match[1] not in expected):
            return None
        self.end = match.end()
        return match[1]
