"""Choices: one letter, never several, and the value of a choice but not the text of another one."""

import pytest
from answer_kinds import cases, judge

from reward_fns.answers import BadGold, answer_type, is_same

KINDS = {
    "one letter": (
        [
            ("A", "Option (A)"),
            ("B", r"\textbf{(B) }12"),
            ("D", "D. none of the above"),
            ("A. 12", "A"),
            ("A. 12", "12"),
            ("12", "B. 12"),
        ],
        [
            ("A", "A) B) C) D)"),
            ("A", "(A),(B),(C)"),
            ("A", "A or B"),
            ("A", "A, because B) is wrong"),
            ("B", "B: no, A"),
            ("B", "not B"),
            ("B", "Both B and C"),
            ("A. 12", "A. 13"),
            ("A. 12", "B. 12"),
            ("A. 12", "13"),
        ],
    ),
}
ORDERS = ("5-2-3-1-4", "5-4-3-2-1", "M, N, Q, P", "M, P, N, Q")
LENGTHS = ("12m", "34m", "5", r"\sqrt{2}")


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_choices(gold, answer, is_right):
    assert judge(gold, answer) is is_right


@pytest.mark.parametrize(
    ("choices", "gold", "answer", "is_right"),
    [
        (ORDERS, "A", "5-2-3-1-4", True),
        (ORDERS, "A", "(A) 5-2-3-1-4", True),
        (ORDERS, "A", "5-4-3-2-1", False),  # both differences are -5
        (ORDERS, "A", "-5", False),
        (ORDERS, "C", "M, N, Q, P", True),
        (ORDERS, "C", "M, P, N, Q", False),
        (ORDERS, "C", "N, M, Q, P", False),
        (ORDERS, "C", "M, P, N, Q.", False),
        (LENGTHS, "B", "34", True),
        (LENGTHS, "B", "34 m", True),
        (LENGTHS, "D", r"\frac{2}{\sqrt2}", True),
        (LENGTHS, "B", "34 cm", False),
        (LENGTHS, "B", "12", False),
        (LENGTHS, "B", "A, B", False),
        (LENGTHS, "5", "C", True),
        (LENGTHS, "5", "B", False),
        (LENGTHS, "5", "C. 5", True),
        (LENGTHS, "C", "C. 5", True),
        (LENGTHS, "C", "C, 5", True),
        (LENGTHS, "C", "C (5)", True),
        (LENGTHS, "C", "5 (C)", True),
        (LENGTHS, "C", "C. 12", True),  # a letter decides, whatever stands beside it
        (LENGTHS, "C", "5 (A)", False),
        (LENGTHS, "C", "A. 5", False),
        (LENGTHS, "C", "A (5)", False),
        (LENGTHS, "C", "C (5) or D", False),
        (LENGTHS, "C", "5 (C, D)", False),
    ],
)
def test_the_value_of_a_choice(choices, gold, answer, is_right):
    assert judge(gold, answer, choices) is is_right


def test_a_letter_beyond_the_choices_is_a_bad_gold_whatever_the_answer():
    for answer in ("E", "5", "A", "x" * 2000):
        with pytest.raises(BadGold):
            is_same("E", answer, LENGTHS, lambda gold, answer: True)


@pytest.mark.parametrize(
    ("gold", "named"),
    [
        ("B", "choice"),
        ("12 cm", "number"),
        ("x = 12", "number"),
        ("204_5", "number"),
        ("3, 5", "several"),
        ("[1,2)", "interval"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "matrix"),
        ("x^2+y^2=1", "equation"),
        ("3:4", "ratio or time"),
        ("red", "words"),
        (r"2\sqrt{3}", "expression"),
        (r"\frac{1}{", "unreadable"),
    ],
)
def test_the_type_of_a_gold(gold, named):
    assert answer_type(gold) == named
