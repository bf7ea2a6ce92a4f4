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
    "signs and domains": (
        [
            ("|ab|", "|a||b|"),
            ("|x|", "|-x|"),
            (r"1\le|x|", r"|x|\ge 1"),
            ("bi+a", "a+bi"),
            ("(-1)^n", "(-1)^{n+2}"),
            (r"\frac{\pi}{2}-\arccos x", r"\arcsin x"),
        ],
        [
            ("xy", "|xy|"),
            ("ad", "|ad|"),
            ("abcde", "|abcde|"),
            ("|a|+|b|", "|a+b|"),
            ("|x|+|y|=1", "|x+y|=1"),
            ("xy>1", "|xy|>1"),
            ("50-x", "|x-50|"),
            ("200-x", "|x-200|"),
            (r"\ln|x|", r"\ln x"),
            (r"y=\ln|x|", r"y=\ln x"),
            (r"\sqrt{x}", r"\sqrt{|x|}"),
            ("a-bi", "a+bi"),
            ("(-1)^{n+1}", "(-1)^n"),
        ],
    ),
    "roots and logarithms": (
        [
            (r"\sqrt{x^3}", r"x\sqrt{x}"),
            (r"\sqrt{x^3}", "x^{3/2}"),
            (r"\sqrt{ab}", r"\sqrt{a}\sqrt{b}"),
            (r"y=\sqrt{x^3}", r"y=x\sqrt{x}"),
            ("x^{2/3}", r"\sqrt[3]{x^2}"),
            ("-2", r"\sqrt[3]{-8}"),
            ("x", r"\sqrt[3]{x^3}"),
            (r"\ln(ab)", r"\ln a+\ln b"),
            (r"\ln x^2", r"2\ln x"),
            (r"\lg 2", r"\lg(2)"),
        ],
        [
            (r"\sqrt{|xy|}", r"\sqrt{x}\sqrt{y}"),
            (r"x\sqrt{y}", r"\sqrt{x^2y}"),
            (r"\sqrt[3]{x}", r"\sqrt[3]{x^2}"),
            ("x^{2/3}", "-x^{2/3}"),
            ("-2", r"\sqrt[3]{8}"),
            (r"2\ln|x|", r"2\ln x"),
            (r"\ln(ab)", r"\ln|a|+\ln|b|"),
            ("x", r"\sqrt[4]{x^4}"),
        ],
    ),
    "letters": (
        [
            (r"\gamma+1", r"1+\gamma"),
            ("x+y'", "y'+x"),
            ("x+y'", r"y^{\prime}+x"),
            ("1+f'(x)", "f'(x)+1"),
        ],
        [
            (r"\gamma+1", "1"),
            ("x+y", "x+y'"),
            ("x'", "x"),
            ("f''(x)+1", "f'(x)+1"),
            ("f'(x)+1", "f(x)+1"),
            (r"\frac{x^2}{x}", "X"),
        ],
    ),
    "points of a figure": (
        [
            (r"AB\cdot CD", r"BA\cdot CD"),
            (r"\frac{AB}{CD}", r"\frac{BA}{DC}"),
            ("AB+CD", "BA+CD"),
            (r"\triangle ABC", r"\triangle BCA"),
            ("2P_1P_2", "2P_2P_1"),
            ("A'B'+1", "1+B'A'"),
            (r"2\overrightarrow{AB}", r"-2\overrightarrow{BA}"),
            (r"\sin\angle ABC", r"\sin\angle CBA"),
            (r"\frac{AB}{CD}", "AB/CD"),
        ],
        [
            (r"\frac{AB}{AC}", r"\frac{DB}{DC}"),
            (r"\frac{AB}{AC}", r"\frac{B}{C}"),
            (r"\frac{AB}{AC}", r"\frac{D\cdot B}{D\cdot C}"),
            (r"AB\cdot CD", r"AC\cdot BD"),
            (r"AB\cdot AC", "A^2BC"),
            (r"\triangle ABC", r"\triangle A'B'C'"),
            (r"\triangle ABC", r"\triangle ABD"),
            (r"\frac{AB}{AC}", r"\frac{AB'}{AC}"),
            (r"2P_1P_2\cdot P_3P_4", r"2P_1P_3\cdot P_2P_4"),
            (r"2\overrightarrow{AB}", r"2\overrightarrow{BA}"),
            (r"\angle 1+\angle 2", r"\angle 1+\angle 3"),
        ],
    ),
    "products of quantities": (
        [
            ("2IR", "2RI"),
            ("2IR", r"2I\cdot R"),
            ("(A+B)^2", "A^2+2AB+B^2"),
            (r"\frac{BLv}{R}", r"\frac{BvL}{R}"),
            ("V/R", r"\frac{V}{R}"),
            (r"\frac{V}{R}", "V/R"),
        ],
        [
            ("2IR", "2IV"),
            ("2IR", r"2\frac{I}{R}"),
            ("(A+B)^2", "A^2+AB+B^2"),
            ("V/R", r"\frac{R}{V}"),
            (r"\frac{V}{R}", "v/r"),
        ],
    ),
    "braces that show nothing": (
        [
            (r"{{8}^{\circ }}", "8°"),
            (r"{{8}^{\circ }}", "8"),
            ("{{2}^{10}}", "1024"),
            ("{{10}^{-3}}", "0.001"),
            ("{{a}_{n}}=2n-1", "2n-1"),
            (r"\left( {1,2} \right)", "(1,2)"),
            (r"\left\{ {1,2} \right\}", r"\{1,2\}"),
            (r"{60}^{\circ}", r"60^\circ"),
            (r"24\text{c}{{\text{m}}^{2}}", "24 cm^2"),
            (r"\frac{3}{4}{\text{ cm}}", "3/4"),
            (r"\sin {30^\circ}", r"\frac{1}{2}"),
            (r"3.6\times {{10}^{5}}", "360000"),
        ],
        [
            (r"{{8}^{\circ }}", "9"),
            ("{{2}^{10}}", "20"),
            (r"\left\{ {1,2} \right\}", "(1,2)"),
            (r"\left( {1,2} \right)", "[1,2]"),
            (r"\frac{1}{{23}}", r"\frac{12}{3}"),
            ("{x^1}2", "x^{12}"),
            ("{{a}_{n}}=2n-1", "2n+1"),
        ],
    ),
    "spelling of commands": (
        [
            (r"\hat {y}=10.25-1.05x", r"\hat{y}=-1.05x+10.25"),
            (r"\vec {a}+\vec {b}", r"\vec{b}+\vec{a}"),
            (r"\overrightarrow{a}", r"\vec a"),
            (r"108\mathrm \pi", r"108\pi"),
            (r"\mathbf{b}+\mathbf{a}", r"\mathbf a+\mathbf b"),
            (r"\frac {1}{2}", "0.5"),
        ],
        [
            (r"\hat {y}=10.25-1.05x", r"\hat{y}=-1.05x-10.25"),
            (r"\vec {a}-\vec {b}", r"\vec{b}-\vec{a}"),
            (r"\vec {a}", r"\vec b"),
            (r"108\mathrm \pi", r"108\mathrm e"),
            (r"\frac {1}{2}", "2"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_expressions(gold, answer, is_right):
    assert judge(gold, answer) is is_right
