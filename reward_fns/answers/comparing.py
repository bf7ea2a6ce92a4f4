"""Compares two typed answers, type by type. Which types meet is decided here, how two of a type compare in its file."""

import operator
from collections.abc import Callable
from typing import Any

from reward_fns.answers.based import Based
from reward_fns.answers.clock import Clock, Ratio, as_ratio, is_same_clock, is_same_ratio
from reward_fns.answers.condition import Conditioned, is_same_conditioned
from reward_fns.answers.equation import (
    Approximation,
    Chain,
    Equation,
    Named,
    has_variable,
    is_name,
    is_same_chain,
    is_same_name,
)
from reward_fns.answers.expression import Expression
from reward_fns.answers.interval import Region, is_same_region, open_interval
from reward_fns.answers.matrix import Matrix, is_same_matrix
from reward_fns.answers.measurement import Measurement, is_same_measurement
from reward_fns.answers.number import Number, is_rounding, is_same_number, latex_of
from reward_fns.answers.sequence import AnswerSequence, is_same_sequence
from reward_fns.answers.words import Unreadable, Words

Algebra = Callable[[str, str], bool]
Same = Callable[[Any, Any], bool]


def is_same_answer(gold: Any, answer: Any, algebra: Algebra) -> bool:
    r"""Return whether two typed answers are the same.

    Args:
        gold, answer: what `reading.read` returned.
        algebra: returns whether two LaTeX expressions or equations are equal. An answer that begins with `\approx` is
            equal if the gold rounds to it.
    """

    def same(gold: Any, answer: Any) -> bool:
        for kind, rule in _RULES:
            if isinstance(gold, kind) or isinstance(answer, kind):
                return rule(gold, answer, same, algebra)
        return algebra(gold.latex, answer.latex)

    return same(gold, answer)


def _same_chain(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    """Compare a chain of equal values: each member of an answer's chain must be the gold."""
    if isinstance(gold, Chain):
        return is_same_chain(gold, answer, same)
    return all(same(gold, member) for member in answer.members)


def _same_region(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    """Compare regions; a tuple of two values may be an open interval."""
    region, other = (each if isinstance(each, Region) else open_interval(each) for each in (gold, answer))
    return region is not None and other is not None and is_same_region(region, other, same)


def _same_sequence(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    if isinstance(gold, AnswerSequence):
        return is_same_sequence(gold, answer, same)
    return is_same_sequence(answer, gold, lambda item, other: same(other, item))


def _same_measurement(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    is_value = all(isinstance(each, Measurement | Number | Expression) for each in (gold, answer))
    return is_value and is_same_measurement(gold, answer, same)


def _same_matrix(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    """Compare entries, or a matrix with a multiple of one by algebra."""
    if isinstance(gold, Matrix) and isinstance(answer, Matrix):
        return is_same_matrix(gold, answer, same)
    texts = [getattr(each, "latex", "") for each in (gold, answer)]
    return all(r"\begin" in text for text in texts) and algebra(*texts)


def _same_words(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    """Compare words; a letter, points or a quotient of capitals may be an expression as well."""
    words, other = (gold, answer) if isinstance(gold, Words) else (answer, gold)
    if isinstance(other, Expression) and words.is_symbolic:
        return algebra(gold.latex, answer.latex)
    return gold == answer


def _same_number(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    if isinstance(gold, Number) and isinstance(answer, Number):
        return is_same_number(gold, answer)
    return algebra(*(latex_of(each) if isinstance(each, Number) else each.latex for each in (gold, answer)))


def _same_equation(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    return isinstance(gold, Equation) and isinstance(answer, Equation) and algebra(gold.latex, answer.latex)


def _same_named(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    """Compare values by their names; equations of names may be turned around.

    A name on one side only is dropped, but a label that only the answer has may change its meaning, as in `half: 5`.
    """
    if isinstance(gold, Named) and isinstance(answer, Named):
        if is_same_name(gold.name, answer.name):
            if same(_last(gold.value), answer.value):
                return True
            if not all(isinstance(each.value, Words) for each in (gold, answer)):  # as algebra would decide again
                return False
        return _is_symbolic(gold.value) and _is_symbolic(answer.value) and algebra(gold.latex, answer.latex)
    named, other = (gold, answer) if isinstance(gold, Named) else (answer, gold)
    if named is answer and named.is_label:
        return False
    if isinstance(other, Equation):
        return _is_symbolic(named.value) and algebra(gold.latex, answer.latex)
    return same(_last(gold.value), answer) if named is gold else same(gold, answer.value)


def _is_symbolic(value: Any) -> bool:
    """Return whether a named value has variables or is a name, so that its own name is a side of an equation."""
    if isinstance(value, Measurement):
        return bool(value.product)
    if isinstance(value, Expression):
        return has_variable(value.latex) or is_name(value.latex)
    return isinstance(value, Words) and value.is_symbolic


def _last(value: Any) -> Any:
    """Return the last member of a gold's chain, whose members are known to be equal."""
    return value.members[-1] if isinstance(value, Chain) else value


def _same_approximation(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    """Compare exact values; the answer's rounding must be one, and the gold's rounding is right, too."""
    if isinstance(gold, Approximation):
        if isinstance(answer, Approximation):
            return same(gold.exact, answer.exact) and same(gold.rounded, answer.rounded)
        return same(gold.rounded, answer) or same(gold.exact, answer)
    if not same(gold, answer.exact):
        return False
    value = gold.value if isinstance(gold, Measurement) else gold
    if isinstance(value, Number):
        return is_rounding(value.value, answer.rounded)
    return isinstance(value, Expression) and algebra(value.latex, rf"\approx {latex_of(answer.rounded)}")


def _same_clock(gold: Any, answer: Any, same: Same, algebra: Algebra) -> bool:
    """Compare times of day; one of them is a ratio if the other can be nothing else."""
    if isinstance(gold, Clock) and isinstance(answer, Clock):
        return is_same_clock(gold, answer)
    ratio, other = (as_ratio(each) if isinstance(each, Clock) else each for each in (gold, answer))
    return isinstance(ratio, Ratio) and isinstance(other, Ratio) and is_same_ratio(ratio, other)


def _only_with(kind: type, is_same: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Same, Algebra], bool]:
    """Return a rule for a type that no other type is the same as."""
    return lambda gold, answer, same, algebra: (
        isinstance(gold, kind) and isinstance(answer, kind) and is_same(gold, answer)
    )


# The first rule whose type one of the two answers has decides.
_RULES: tuple[tuple[type, Callable[[Any, Any, Same, Algebra], bool]], ...] = (
    (Unreadable, lambda gold, answer, same, algebra: False),
    (Conditioned, lambda gold, answer, same, algebra: is_same_conditioned(gold, answer, same)),
    (Named, _same_named),
    (Approximation, _same_approximation),
    (Chain, _same_chain),
    (Region, _same_region),
    (AnswerSequence, _same_sequence),
    (Clock, _same_clock),
    (Ratio, _only_with(Ratio, is_same_ratio)),
    (Based, _only_with(Based, operator.eq)),
    (Words, _same_words),
    (Measurement, _same_measurement),
    (Matrix, _same_matrix),
    (Equation, _same_equation),
    (Number, _same_number),
)
