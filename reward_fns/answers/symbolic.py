r"""Algebra: whether two LaTeX expressions, equations or inequalities are equal. Runs in a worker process; it may hang.

math-verify's parser (latex2sympy2_extended) reads them. Its comparison is not used: it takes two values for equal if
they differ by less than about 1e-15, whatever their size, and equations if neither has a real solution. Here

- constants are equal if they agree to 350 digits, or are the same fraction; a decimal of six or more digits is equal to
  what rounds to it;
- expressions with variables are equal if they are at points of all signs, or if their difference simplifies to 0. A
  point at which exactly one of them is real tells them apart: `\ln x` is not `\ln|x|`. Where both are not real, they
  are compared only if they are real hardly anywhere, since `x\sqrt{x}` and `\sqrt{x^3}` differ there;
- roots of odd degree are real: `\sqrt[3]{-8}` is -2. Logarithms and roots of a product may be taken apart, as if all
  factors were positive: `\sqrt{ab}` is `\sqrt{a}\sqrt{b}`;
- equations and inequalities are equal if `left - right` of one is a constant multiple of the other's, of a positive
  constant for inequalities. Nothing is solved.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from reward_fns.answers.number import Number, is_rounding, is_same_number, read_number
from reward_fns.answers.points import factors_of, with_symbols

_MIXED, _POSITIVE = 16, 4  # points at which expressions with variables are evaluated, by the signs of the coordinates
_COLUMNS = (1, 2, 4, 7, 3, 5, 6)  # of a Hadamard matrix: any two variables have every two signs
_LARGE = 100  # by which half of the points' coordinates are multiplied or divided
_FEWEST = 4  # points at which both are real, or both are not
_DIGITS, _MANY_DIGITS = 30, 400
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_ANGLE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*\^\s*\\circ")
_GAMMA = re.compile(r"\\(?:gamma|Gamma(?!\s*\())(?![a-zA-Z]|\s*_)")  # a letter, which the parser takes for the function
_LG = re.compile(r"\\lg(?![a-zA-Z])")
_APPROXIMATELY = r"\approx"


def compare(gold: str, answer: str) -> str:
    r"""Compare two LaTeX expressions; return "equal", "different" or "error".

    An expression that cannot be parsed is different from all others. An answer `\approx 2.83` is equal if the gold
    rounds to it.
    """
    try:
        is_rounded = answer.startswith(_APPROXIMATELY)
        answer = answer.removeprefix(_APPROXIMATELY)
        factors = factors_of(gold, answer)
        true_value, value = _parse(gold, factors), _parse(answer, factors)
    except MemoryError:  # the limit of this process was reached, which says nothing about the expression
        return "error"
    except Exception:  # the parsers raise errors of any type
        return "different"
    try:
        return "equal" if _is_equal(true_value, value, is_rounded) else "different"
    except Exception:  # of SymPy, on two valid expressions: an error, not a wrong answer
        return "error"


def _parse(text: str, factors: frozenset[str]) -> Any:
    """Return the Number or the SymPy object that the whole text is. Letters keep their case; see `points` for factors.

    Raises:
        Exception: of any type: the text is no LaTeX.
    """
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, NormalizationConfig, latex2sympy, normalize_latex
    from sympy import Float, I, Rational

    number = read_number(text.strip())
    if number is not None:
        return number
    text = _GAMMA.sub(lambda match: rf"\kappa_{{{match[0][1:]}}}", with_symbols(text, factors))
    text = _ANGLE.sub(r"(\\frac{\1\\pi}{180})", text) if _TRIGONOMETRY.search(text) else text
    text = _LG.sub(r"\\log_{10}", text.replace(r"^\circ", ""))
    text = normalize_latex(text, NormalizationConfig(malformed_operators=True, nits=True))
    value: Any = latex2sympy(
        text, is_real=True, normalization_config=None, conversion_config=ConversionConfig(lowercase_symbols=False)
    )
    if value is None:
        raise ValueError(f"answer: got {text}, expected an expression")
    decimals = {decimal: Rational(str(decimal)) for decimal in value.atoms(Float)}
    units = {symbol: I for symbol in value.free_symbols if symbol.name == "i"}
    return _with_real_roots(value.xreplace({**decimals, **units}))


def _with_real_roots(value: Any) -> Any:
    """Return an expression in which the roots of odd degree of negative numbers are real."""
    from sympy import Abs, sign

    def is_odd_root(power: Any) -> bool:
        is_root = power.is_Pow and power.exp.is_Rational and power.exp.q % 2 == 1 and power.exp.q > 1
        return bool(is_root and power.base.is_extended_real)

    def real_root(power: Any) -> Any:
        return (sign(power.base) if power.exp.p % 2 else 1) * Abs(power.base) ** power.exp

    return value.replace(is_odd_root, real_root)


def _is_equal(gold: Any, answer: Any, is_rounded: bool) -> bool:
    from sympy import Expr, MatrixBase, MatrixExpr, Set
    from sympy.core.relational import Relational

    if is_rounded:
        value = _real(gold)
        return value is not None and isinstance(answer, Number) and is_rounding(value, answer)
    if isinstance(gold, Number) and isinstance(answer, Number):
        return is_same_number(gold, answer)
    if isinstance(gold, Number) or isinstance(answer, Number):
        return _is_equal(_exact(gold), _exact(answer), False) or _rounds(gold, answer) or _rounds(answer, gold)
    if isinstance(gold, Expr) and isinstance(answer, Expr):
        has_variables = gold.free_symbols or answer.free_symbols
        return _same_functions(gold, answer) if has_variables else _same_constants(gold, answer)
    if isinstance(gold, Relational) and isinstance(answer, Relational):
        return _same_relations(gold, answer)
    gold, answer = (each.doit() if isinstance(each, MatrixExpr) else each for each in (gold, answer))
    if isinstance(gold, MatrixBase) and isinstance(answer, MatrixBase):
        return gold.shape == answer.shape and all(
            _is_equal(a, b, False) for a, b in zip(gold.flat(), answer.flat(), strict=True)
        )
    if isinstance(gold, Set) and isinstance(answer, Set):
        return gold == answer or gold.symmetric_difference(answer).is_empty is True
    return bool(gold == answer)


def _exact(value: Any) -> Any:
    from sympy import Rational

    return Rational(value.value.numerator, value.value.denominator) if isinstance(value, Number) else value


def _rounds(value: Any, number: Any) -> bool:
    """Return whether a constant, rounded, is a decimal of enough digits."""
    if (
        not isinstance(number, Number)
        or number.step is None
        or not hasattr(value, "free_symbols")
        or value.free_symbols
    ):
        return False
    exact = _real(value)
    return exact is not None and is_same_number(Number(exact), number)


def _fraction(value: Any) -> Any:
    return Fraction(value.p, value.q)


def _real(value: Any) -> Any:
    """Return a real constant as a fraction of some thirty digits; None if it is not real."""
    from sympy import Rational

    number = _exact(value).evalf(_DIGITS)
    return _fraction(Rational(number)) if number.is_Float or number.is_Rational else None


def _same_constants(a: Any, b: Any) -> bool:
    if a.is_extended_real and a.is_infinite:  # not 1/0, which is no value
        return bool(a == b)
    if not _is_close(a.evalf(_DIGITS), b.evalf(_DIGITS), _DIGITS - 5):
        return False
    exact, other = a.doit(), b.doit()
    if exact.is_Rational and other.is_Rational:
        return bool(exact == other)
    return _is_close(a.evalf(_MANY_DIGITS, maxn=2 * _MANY_DIGITS), b.evalf(_MANY_DIGITS, maxn=2 * _MANY_DIGITS), 350)


def _same_functions(a: Any, b: Any) -> bool:
    from sympy import expand, simplify

    if a == b or expand(a - b) == 0:
        return True
    is_same = _agree(a, b)
    if is_same is None:
        return bool(simplify(a - b) == 0)
    apart = _taken_apart(a), _taken_apart(b)
    return is_same or apart != (a, b) and bool(_agree(*apart))


def _taken_apart(value: Any) -> Any:
    """Return an expression whose logarithms and roots of products are taken apart, as if all factors were positive."""
    from sympy import expand_log, expand_power_base

    return expand_power_base(expand_log(value, force=True), force=True)


def _agree(a: Any, b: Any) -> bool | None:
    """Return whether two functions have the same values, and are real at the same points; None for too few values."""
    compared = 0
    for x, y in _values(a, b):
        if x is None or y is None or not _is_close(x, y, _DIGITS - 10):
            return False
        compared += 1
    return True if compared >= _FEWEST else None


def _values(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the values of two functions at points where both are real; without a value for one that is not.

    If both are real at too few points, their other values follow.
    """
    real, others = 0, []
    for point in _points(a.free_symbols | b.free_symbols):
        x, y = (_without_noise(each.subs(point).evalf(_DIGITS)) for each in (a, b))
        if not (_is_number(x) and _is_number(y)):
            continue
        if x.is_real and y.is_real:
            real += 1
            yield x, y
        elif x.is_real or y.is_real:
            yield (x, None) if x.is_real else (None, y)
        else:
            others.append((x, y))
    if real < _FEWEST:
        yield from others


def _without_noise(value: Any) -> Any:
    """Return a value without an imaginary part that is only an error of rounding."""
    if not _is_number(value) or value.is_real:
        return value
    real, imaginary = value.as_real_imag()
    return real if abs(imaginary) <= abs(real) * 10 ** (10 - _DIGITS) else value


def _same_relations(gold: Any, answer: Any) -> bool:
    """Return whether one is a multiple of the other by a constant."""
    from sympy import Expr

    sides = (gold.lhs, gold.rhs, answer.lhs, answer.rhs)
    if not all(isinstance(side, Expr) for side in sides):
        return bool(gold == answer)
    if gold.free_symbols != answer.free_symbols or not gold.free_symbols:
        return False
    turned = [each.reversed if each.rel_op in (">", ">=") else each for each in (gold, answer)]
    if turned[0].rel_op != turned[1].rel_op:
        return False
    a, b = ((each.lhs - each.rhs).doit() for each in turned)
    ratio, compared = None, 0
    for x, y in _values(a, b):
        if x is None or y is None:
            return False
        if _is_zero(x) or _is_zero(y):
            continue
        if ratio is not None and not _is_close(x / y, ratio, _DIGITS - 10):
            return False
        ratio, compared = x / y, compared + 1
    is_positive_if_needed = turned[0].rel_op in ("==", "!=") or bool(ratio is not None and ratio.is_positive)
    return compared >= _FEWEST and is_positive_if_needed


def _points(symbols: Any) -> list[dict[Any, Any]]:
    """Return points of all signs and several sizes, the same in every process; no two coordinates are equal."""
    from sympy import Rational

    names = sorted(symbols, key=lambda symbol: symbol.name)
    points = []
    for number in range(_MIXED + _POSITIVE):
        point = {}
        for index, symbol in enumerate(names):
            coordinate = Rational(37 + 13 * index + 29 * number, 41 + 7 * index)
            column, next_column = (_COLUMNS[place % len(_COLUMNS)] for place in (index, index + 1))
            if number < _MIXED and (number & column).bit_count() % 2:
                coordinate = -coordinate
            if number >= _MIXED // 2:
                coordinate = coordinate * _LARGE if (number & next_column).bit_count() % 2 else coordinate / _LARGE
            point[symbol] = coordinate
        points.append(point)
    return points


def _is_number(value: Any) -> bool:
    return value.is_number and value.is_finite is True


def _is_zero(value: Any) -> bool:
    return value == 0 or value.is_Float and value._prec == 1  # no digit of it is certain


def _is_close(a: Any, b: Any, digits: int) -> bool:
    """Return whether two values agree to so many digits, relative to the larger of them."""
    if not (_is_number(a) and _is_number(b)):  # such as 1/0
        return False
    if _is_zero(a) or _is_zero(b):
        return bool(_is_zero(a) and _is_zero(b))
    return bool(abs(a - b) <= max(abs(a), abs(b)) * 10**-digits)
