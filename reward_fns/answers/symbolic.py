r"""Algebra: whether two LaTeX expressions, equations or inequalities are equal. Runs in a worker process; it may hang.

math-verify's parser (latex2sympy2_extended) reads them. Its comparison is not used: it takes two values for equal if
they differ by less than about 1e-15, whatever their size, and equations if neither has a real solution. Here

- constants are equal if they agree to 350 digits, or are the same fraction; a decimal of six or more digits is equal to
  what rounds to it;
- expressions with variables are equal if they are at points of both signs, or if their difference simplifies to 0;
- equations and inequalities are equal if `left - right` of one is a constant multiple of the other's, of a positive
  constant for inequalities. Nothing is solved.
"""

import re
from typing import Any

from reward_fns.answers.number import Number, is_rounding, is_same_number, read_number

_POINTS = 8  # at which expressions with variables are evaluated
_FEWEST = 4  # points at which both are real, or both are not
_DIGITS, _MANY_DIGITS = 30, 400
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_ANGLE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*\^\s*\\circ")
_VERTEX = re.compile(r"\\angle\s*([A-Z])\s*([A-Z])\s*([A-Z])(?![A-Za-z_])")
_APPROXIMATELY = r"\approx"


def compare(gold: str, answer: str) -> str:
    r"""Compare two LaTeX expressions; return "equal", "different" or "error".

    An expression that cannot be parsed is different from all others. An answer `\approx 2.83` is equal if the gold
    rounds to it.
    """
    try:
        is_rounded = answer.startswith(_APPROXIMATELY)
        true_value, value = _parse(gold), _parse(answer.removeprefix(_APPROXIMATELY))
    except MemoryError:  # the limit of this process was reached, which says nothing about the expression
        return "error"
    except Exception:  # the parsers raise errors of any type
        return "different"
    try:
        return "equal" if _is_equal(true_value, value, is_rounded) else "different"
    except Exception:  # of SymPy, on two valid expressions: an error, not a wrong answer
        return "error"


def _parse(text: str) -> Any:
    """Return the Number or the SymPy object that the whole text is. Letters keep their case.

    Raises:
        Exception: of any type: the text is no LaTeX.
    """
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, NormalizationConfig, latex2sympy, normalize_latex
    from sympy import Float, I, Rational

    number = read_number(text.strip())
    if number is not None:
        return number
    text = _VERTEX.sub(lambda match: _angle_symbol("".join(match.groups())), text)
    text = _ANGLE.sub(r"(\\frac{\1\\pi}{180})", text) if _TRIGONOMETRY.search(text) else text
    text = text.replace(r"^\circ", "").replace(r"\lg ", r"\log_{10} ")
    text = normalize_latex(text, NormalizationConfig(malformed_operators=True, nits=True))
    value: Any = latex2sympy(
        text, is_real=True, normalization_config=None, conversion_config=ConversionConfig(lowercase_symbols=False)
    )
    if value is None:
        raise ValueError(f"answer: got {text}, expected an expression")
    decimals = {decimal: Rational(str(decimal)) for decimal in value.atoms(Float)}
    units = {symbol: I for symbol in value.free_symbols if symbol.name == "i"}
    return value.xreplace({**decimals, **units}) if decimals or units else value


def _angle_symbol(points: str) -> str:
    """Return a symbol for an angle: `ABC` is `CBA`, but not `ACB`."""
    return rf" \theta_{{{min(points, points[::-1])}}} "


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
    from fractions import Fraction

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
    compared = 0
    for point in _points(a.free_symbols | b.free_symbols):
        x, y = a.subs(point).evalf(_DIGITS), b.subs(point).evalf(_DIGITS)
        if not (_is_number(x) and _is_number(y)) or bool(x.is_real) != bool(y.is_real):
            continue  # outside of the domain of one of them
        if not _is_close(x, y, _DIGITS - 10):
            return False
        compared += 1
    return compared >= _FEWEST or simplify(a - b) == 0


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
    for point in _points(gold.free_symbols):
        x, y = a.subs(point).evalf(_DIGITS), b.subs(point).evalf(_DIGITS)
        if not (_is_number(x) and _is_number(y)) or _is_zero(x) or _is_zero(y):
            continue
        if ratio is not None and not _is_close(x / y, ratio, _DIGITS - 10):
            return False
        ratio, compared = x / y, compared + 1
    is_positive_if_needed = turned[0].rel_op in ("==", "!=") or bool(ratio is not None and ratio.is_positive)
    return compared >= _FEWEST and is_positive_if_needed


def _points(symbols: Any) -> list[dict[Any, Any]]:
    """Return points with coordinates of both signs, the same in every process, as no two symbols' are equal."""
    from sympy import Rational

    names = sorted(symbols, key=lambda symbol: symbol.name)
    return [
        {
            symbol: Rational(
                (-1) ** (point * (index + 1) // (index + 1) % 2) * (37 + 13 * index + 29 * point), 41 + 7 * index
            )
            for index, symbol in enumerate(names)
        }
        for point in range(_POINTS)
    ]


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
