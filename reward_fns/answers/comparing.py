"""Compares two typed answers, type by type. Which types meet is decided here, how two of a type compare in its file."""

from collections.abc import Callable
from typing import Any

from reward_fns.answers.based import Based
from reward_fns.answers.clock import Clock, Ratio, is_same_clock, is_same_ratio
from reward_fns.answers.equation import Approximation, Chain, Equation, Named, has_variable, is_same_chain
from reward_fns.answers.expression import Expression
from reward_fns.answers.interval import Region, is_same_region, open_interval
from reward_fns.answers.matrix import Matrix, is_same_matrix
from reward_fns.answers.number import Number, is_rounding, is_same_number, latex_of
from reward_fns.answers.quantity import Quantity, is_same_quantity
from reward_fns.answers.sequence import Sequence, is_same_sequence
from reward_fns.answers.words import Unreadable, Words

Algebra = Callable[[str, str], bool]


def is_same_answer(gold: Any, answer: Any, algebra: Algebra) -> bool:
    """Return whether two typed answers are the same.

    Args:
        gold, answer: what `reading.read` returned.
        algebra: returns whether two LaTeX expressions or equations are equal. An answer that begins with `\\approx` is
            equal if the gold rounds to it.
    """

    def same(gold: Any, answer: Any) -> bool:
        if isinstance(gold, Unreadable) or isinstance(answer, Unreadable):
            return False
        if isinstance(gold, Named) or isinstance(answer, Named):
            return _same_named(gold, answer, same, algebra)
        if isinstance(gold, Approximation) or isinstance(answer, Approximation):
            return _same_approximation(gold, answer, same, algebra)
        if isinstance(gold, Chain):
            return is_same_chain(gold, answer, same)
        if isinstance(answer, Chain):
            return all(same(gold, member) for member in answer.members)
        if isinstance(gold, Region) or isinstance(answer, Region):
            regions = [each if isinstance(each, Region) else open_interval(each) for each in (gold, answer)]
            return all(regions) and is_same_region(*regions, same)  # type: ignore[arg-type]
        if isinstance(gold, Sequence):
            return is_same_sequence(gold, answer, same)
        if isinstance(answer, Sequence):
            return is_same_sequence(answer, gold, same)
        if isinstance(gold, Quantity | Number) and isinstance(answer, Quantity | Number):
            if isinstance(gold, Number) and isinstance(answer, Number):
                return is_same_number(gold, answer)
            return is_same_quantity(gold, answer, same)
        if isinstance(gold, Quantity) or isinstance(answer, Quantity):
            is_value = all(isinstance(each, Quantity | Number | Expression) for each in (gold, answer))
            return is_value and is_same_quantity(gold, answer, same)
        if isinstance(gold, Matrix) and isinstance(answer, Matrix):
            return is_same_matrix(gold, answer, same)
        if isinstance(gold, Matrix) or isinstance(answer, Matrix):
            texts = [getattr(each, "latex", "") for each in (gold, answer)]  # of one, a multiple of a matrix
            return all(r"\begin" in text for text in texts) and algebra(*texts)
        if isinstance(gold, Clock) and isinstance(answer, Clock):
            return is_same_clock(gold, answer)
        if isinstance(gold, Ratio) and isinstance(answer, Ratio):
            return is_same_ratio(gold, answer)
        if isinstance(gold, Expression) and isinstance(answer, Words) and len(answer.text) == 1:
            answer = Expression(answer.text)  # a variable, or i
        if isinstance(gold, Based | Words) or isinstance(answer, Based | Words):
            return gold == answer
        texts = [_latex(each) for each in (gold, answer)]
        is_equation = isinstance(gold, Equation) == isinstance(answer, Equation)
        return is_equation and all(texts) and algebra(*texts)

    return same(gold, answer)


def _latex(answer: Any) -> str:
    if isinstance(answer, Number):
        return latex_of(answer)
    return answer.latex if isinstance(answer, Expression | Equation) else ""


def _same_named(gold: Any, answer: Any, same: Callable[[Any, Any], bool], algebra: Algebra) -> bool:
    """Compare values by their names; a name on one side only is dropped."""
    if isinstance(gold, Named) and isinstance(answer, Named):
        if gold.name == answer.name:
            return same(_last(gold.value), answer.value)
        is_equation = all(
            isinstance(each.value, Expression) and has_variable(each.value.latex) for each in (gold, answer)
        )
        return is_equation and algebra(gold.latex, answer.latex)
    named, other = (gold, answer) if isinstance(gold, Named) else (answer, gold)
    if isinstance(other, Equation):
        is_equation = isinstance(named.value, Expression) and has_variable(named.value.latex)
        return is_equation and algebra(gold.latex, answer.latex)
    return same(_last(gold.value), answer) if named is gold else same(gold, answer.value)


def _last(value: Any) -> Any:
    """Return the last member of a gold's chain, whose members are known to be equal."""
    return value.members[-1] if isinstance(value, Chain) else value


def _same_approximation(gold: Any, answer: Any, same: Callable[[Any, Any], bool], algebra: Algebra) -> bool:
    """Compare exact values; the answer's rounding must be one, and the gold's rounding is right, too."""
    if isinstance(gold, Approximation):
        if isinstance(answer, Approximation):
            return same(gold.exact, answer.exact) and same(gold.rounded, answer.rounded)
        return same(gold.rounded, answer) or same(gold.exact, answer)
    if not same(gold, answer.exact):
        return False
    value = gold.value if isinstance(gold, Quantity) else gold
    if isinstance(value, Number):
        return is_rounding(value.value, answer.rounded)
    return isinstance(value, Expression) and algebra(value.latex, rf"\approx {latex_of(answer.rounded)}")
