"""Expressions that algebra compares: constants, functions, degrees, complex numbers."""

import pytest
from answer_kinds import cases, judge

KINDS = {
    "angles": (
        [
            (r"\angle CFE", "∠CFE"),
            (r"\angle CFE", r"\angle EFC"),
            (r"180^\circ-\angle ABC", r"180^\circ-\angle CBA"),
        ],
        [
            (r"\angle CFE", r"\angle CEF"),  # the vertex is the middle letter
            ("∠FCD", "∠FDC"),
            (r"\angle ABC", r"\angle BAC"),
            (r"180^\circ-\angle ABC", r"180^\circ-\angle ACB"),
            (r"\angle ABC+\angle ACB", r"\angle ABC+\angle BAC"),
        ],
    ),
    "statements": (
        [
            (r"CA \perp DG", r"CA\perp DG"),
            (r"\triangle ABC \cong \triangle DEF", r"\triangle ABC\cong\triangle DEF"),
            (r"L \to M \to P", "L→M→P"),
            (r"L \to M \to P", r"L\rightarrow M\rightarrow P"),
        ],
        [
            (r"CA \perp DG", r"CA \perp DE"),
            (r"CA \perp DG", r"CA \parallel DG"),
            (r"L \to M \to P", r"L \to P \to M"),
            (r"AB \parallel CD", r"AC \parallel BD"),
            (r"L \to M \to P", "LMP"),
        ],
    ),
    "constants": (
        [
            (r"2\sqrt{3}", r"\sqrt{12}"),
            (r"\cos 60^\circ", r"\frac12"),
            (r"\frac{\sqrt3}{2}", r"\sin 60°"),
            (r"\sqrt{-1}", "i"),
            ("2^{100}", "1267650600228229401496703205376"),
            (r"\log_{10} 5", r"\lg 5"),
        ],
        [
            (r"2\sqrt{3}", r"3\sqrt{2}"),
            (r"\cos 60^\circ", r"\cos 60"),
            (r"\sqrt{-1}", "-i"),
            ("2^{100}", "1267650600228229401496703205377"),
            (r"\ln 2", r"\ln 3"),
            ("1/0", "4/0"),
            ("3+4i", "3-4i"),
        ],
    ),
    "functions": (
        [
            (r"\frac{x^2-1}{x-1}", "x+1"),
            (r"\sin^2 x+\cos^2 x", "1"),
            (r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}"),
            ("f(x)+1", "1+f(x)"),
        ],
        [
            ("|x|", "x"),
            (r"\sqrt{x^2}", "x"),
            ("2^n", "2^{n+1}"),
            ("2a", "2A"),
            ("e^x", "x^e"),
            ("f(x)+1", "f(x)+2"),
            ("x^2", "x^3"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_expressions(gold, answer, is_right):
    assert judge(gold, answer) is is_right
