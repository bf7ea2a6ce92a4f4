"""The golds of `benchmarks/graders`, checked by Fraction and SymPy: what is the same, and what is wrong."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from random import Random

import pytest
import sympy
from graders import graders
from graders.golds import KINDS, Gold, Wrong, draw_gold, golds
from graders.kind import Kind, Pick, Writings
from graders.mutations import ATTEMPTS, mutations
from graders.page import page
from graders.trial import IDENTICAL, SAME, run
from math_verify import parse

DRAWN = golds(4 * len(KINDS), seed=5)
NUMBERS = (
    "Integer",
    "Decimal",
    "Thousands",
    "Ratio",
    "MixedNumber",
    "Percent",
    "TinyDecimal",
    "Scientific",
    "Repeating",
)
EXPRESSIONS = (
    "TinyPower", "HugePower", "Root", "Surd", "PiMultiple", "Complex", "SumOfRoots", "Polynomial", "Factored",
    "Monomial", "Rational", "Exponential",
)  # fmt: skip
EQUATIONS = ("Line", "Circle", "Conic", "NoRealRoot")
ROWS = ("Matrix", "Vector")


def changed(gold: Gold) -> list[Wrong]:
    return [wrong for wrong in gold.wrong if wrong.mutation not in ATTEMPTS]


def of(kind: str) -> list[Gold]:
    return [gold for gold in DRAWN if gold.kind == kind]


def number(text: str) -> Fraction:
    """The value of a number, read without the generator's code."""
    text = re.sub(r"\\text\{([^}]*)\}|x = |\\approx|\*\*|\$", r"\1", text).strip()
    text = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹×", "-0123456789x"))
    if period := re.fullmatch(r"0\.\\overline\{(\d+)\}", text):
        return Fraction(int(period[1]), 10 ** len(period[1]) - 1)
    text = re.sub(r"(?<=\d)(?:,\\!|\{,\}|\\,|,)(?=\d{3})", "", text)
    text = re.sub(r"\\d?frac(\d)(\d)$|\\d?frac\{(\d+)\}\{(\d+)\}", r" \1\3/\2\4", text)
    if percent := re.fullmatch(r"(.*?) ?(?:\\?%|percent)", text):
        return Fraction(percent[1]) / 100
    mantissa, _, power = re.sub(r" ?(?:\\times|\\cdot|x) ?10\^?\{?|E", "e", text).rstrip("}").partition("e")
    sign, *parts = re.fullmatch(r"(-?) *(?:(\d+) +)?([\d./]+)", mantissa).groups()
    return (-1 if sign else 1) * sum(Fraction(part) for part in parts if part) * Fraction(10) ** int(power or 0)


def expression(text: str) -> sympy.Basic:
    text = re.sub(r"√(\d+)", r"\\sqrt{\1}", text).replace("π", "\\pi")
    value = parse(f"\\boxed{{{text}}}", parsing_timeout=None)[0]
    return value.subs({symbol: sympy.I for symbol in value.free_symbols if symbol.name == "i"})


def zeroed(text: str) -> sympy.Basic:
    equation = expression(text)
    return sympy.expand(equation.lhs - equation.rhs)


def entries(text: str) -> list[list[int]]:
    body = re.sub(r"\\(begin|end)\{\w+\}|\\left\(|\\right\)", "", text)
    return [[int(entry) for entry in row.split("&")] for row in body.split("\\\\")]


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_by_fraction(kind):
    for gold in of(kind):
        value = number(gold.text)
        same = [text for text in gold.same if not text.isalpha()]  # not "seven"
        if kind == "Percent":  # 35% is 0.35, and a response may say 35 as well
            assert {number(text) for text in same} <= {value, 100 * value}, gold
        else:
            assert {number(text) for text in same} <= {value}, gold
        assert value not in {number(wrong.text) for wrong in changed(gold)}, gold


@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_expressions_by_sympy(kind):
    for gold in of(kind):
        value = expression(gold.text)
        assert all(sympy.simplify(expression(text) - value) == 0 for text in gold.same), gold
        assert all(sympy.simplify(expression(wrong.text) - value) != 0 for wrong in changed(gold)), gold


@pytest.mark.parametrize("kind", EQUATIONS)
def test_equations_up_to_a_factor_by_sympy(kind):
    for gold in of(kind):
        value = zeroed(gold.text)
        assert all(sympy.simplify(zeroed(text) / value).is_number for text in gold.same), gold
        assert not any(sympy.simplify(zeroed(wrong.text) / value).is_number for wrong in changed(gold)), gold


@pytest.mark.parametrize("kind", ROWS)
def test_matrices_entry_by_entry(kind):
    for gold in of(kind):
        value = entries(gold.text)
        assert all(entries(text) == value for text in gold.same), gold
        assert all(entries(wrong.text) != value for wrong in changed(gold)), gold


def test_a_base_that_lacks_a_digit_is_no_mutation():
    for gold in DRAWN:
        if gold.kind == "InBase":
            values = [
                int(digits, int(base.strip("{}")))
                for digits, base in (text.split("_") for text in (gold.text, *(wrong.text for wrong in changed(gold))))
            ]
            assert values.count(values[0]) == 1


def test_golds_are_the_same_for_a_seed_and_differ_otherwise():
    assert golds(len(DRAWN), seed=5) == DRAWN
    assert golds(len(DRAWN), seed=6) != DRAWN


def test_no_gold_is_drawn_twice_and_no_kind_is_missing():
    drawn = golds(3000)
    assert len({(gold.text, gold.choices) for gold in drawn}) == len(drawn) == 3000
    assert {gold.kind for gold in drawn} == {kind.name for kind in KINDS}
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_every_gold_has_another_writing_and_wrong_answers_that_are_none_of_its_own():
    for gold in DRAWN:
        assert gold.same and changed(gold), gold
        assert not {gold.text, *gold.same} & {wrong.text for wrong in gold.wrong}, gold
        assert max(Counter(wrong.mutation for wrong in gold.wrong).values()) == 1


def test_all_mutations_occur():
    assert {wrong.mutation for gold in golds(2000) for wrong in gold.wrong} == {
        "digit", "sign", "order", "row order", "row dropped", "term dropped", "exponent", "decimal point", "base",
        "unit", "bracket", "relation", "operator", "name", "letter", "word", "choice", *ATTEMPTS,
    }  # fmt: skip


def test_a_mutation_changes_one_slot_by_hand():
    class Last:
        """A random source that always takes the last of what there is."""

        def sample(self, items, count):
            return list(items)[-count:]

        def choice(self, items):
            return items[-1]

        def randrange(self, stop):
            return stop - 1

    slots = {"n": 407, "unit": Pick("cm", ("cm", "m"), "unit"), "pair": (3, -5)}
    assert list(mutations(slots, Last())) == [
        ("digit", {**slots, "n": 409}),
        ("sign", {**slots, "n": -407}),
        ("unit", {**slots, "unit": Pick("m", ("cm", "m"), "unit")}),
        ("order", {**slots, "pair": (-5, 3)}),
        ("term dropped", {**slots, "pair": (-5,)}),
        ("digit", {**slots, "pair": (3, -9)}),
        ("sign", {**slots, "pair": (3, 5)}),
    ]


def test_a_value_that_stays_is_no_wrong_answer():
    class Unordered(Kind):
        def draw(self, rng):
            return {"members": (2, 3)}

        def write(self, members):
            return Writings([", ".join(map(str, members))])

        def value(self, members):
            return frozenset(members)

    mutated = {wrong.mutation for seed in range(20) for wrong in draw_gold(Unordered(), Random(seed)).wrong}
    assert "order" not in mutated and {"digit", "sign", "term dropped"} <= mutated


def test_counts_and_page_of_a_lenient_and_a_strict_grader():
    gold = Gold("Integer", "5", ("5.0", "five"), (Wrong("digit", "6"), Wrong("sign", "-5"), Wrong("bluff", "?")))
    trial = run(
        [gold], {"lenient": lambda gold, answer: answer != "?", "strict": lambda gold, answer: answer == gold.text}
    )
    assert trial.pairs == 6
    assert {key: dict(count.failed) for key, count in trial.accepted_by_mutation.items()} == {
        "digit": {"lenient": 1},
        "sign": {"lenient": 1},
        "bluff": {},
    }
    assert trial.refused_by_writing[SAME].failed == {"strict": 2} and trial.refused_by_writing[SAME].pairs == 2
    assert trial.refused_by_writing[IDENTICAL].failed == {}
    text = page(trial, ("lenient", "strict"), examples=1)
    assert "| digit | 1 | 1 | 0 |\n" in text and "| bluff | 1 | 0 | 0 |\n" in text
    assert "| **all** | **2** | **2** | **0** |" in text and "| another writing | 2 | 0 | 2 |" in text
    assert "- Integer, accepted: `5` ← `6`" in text and "`5` ← `-5`" not in text


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(graders, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="without mathruler.*pip install mathruler"):
        graders.graders()
