r"""Equations: names, chains, roundings, and equations that nothing may decide by solving them."""

import pytest
from answer_kinds import cases, judge

KINDS = {
    "no variables": (
        [
            (r"\log_2(32)=5", r"\log_2 32 = 5"),
            (r"\log_2(32)=5", r"5=\log_2(32)"),
            (r"0.56 = 56\%", "56%"),
        ],
        [
            (r"\log_2(32)=5", "1=1"),
            (r"\log_2(32)=5", "5=5"),
            (r"\log_2(32)=5", r"\log_2(32)=6"),
            (r"\log_2(32)=5", "5"),
            (r"\log_2(32)=5", r"\log_2(16)=4"),
            (r"0.56 = 56\%", r"0.56 = 66\%"),
            (r"\log(0.01)=-2", r"\log(0.01)=-4"),
            ("2^5=32", "1=1"),
        ],
    ),
    "no real solution": (
        [
            ("x^2+1=0", "1+x^2=0"),
            ("x^2+y^2=-1", "y^2+x^2=-1"),
            ("x^2+1=0", "-x^2-1=0"),
        ],
        [
            ("x^2+1=0", "0=1"),
            ("x^2+1=0", "1=0"),
            ("x^2+1=0", "x^2+2=0"),
            ("x^2+1=0", "x=x"),
            ("x^2+1=0", r"\emptyset"),
            ("x^2+y^2=-1", "x^2+y^2=-2"),
        ],
    ),
    "chains": (
        [
            ("3", "1+2=3"),
            ("3", "x=1+2=3"),
            ("3", r"x=\frac{6}{2}=3"),
            (r"2\sqrt{3}", r"AB=\sqrt{12}=2\sqrt{3}"),
        ],
        [
            ("3", "5=3"),
            ("3", "x=5=3"),
            ("3", "3=5"),
            ("3", "x=3=5"),
            ("3", r"\sqrt{x}=3"),
            ("3", "not = 3"),
            ("3", "2x=3"),
            ("3", "x+1=3"),
            (r"2\sqrt{3}", r"AB=\sqrt{13}=2\sqrt{3}"),
        ],
    ),
    "names": (
        [
            ("14", "AB_1=14"),
            ("a_{n}=2n+1", "a_n=1+2n"),
            ("x=3", "3=x"),
            ("f(x)=x+1", "x+1"),
            ("y=x+1", "f(x)=1+x"),
            ("5", r"\angle ABC=5"),
            ("12", "area = 12"),
        ],
        [
            ("14", "AB_1=15"),
            ("a_{n}=2n+1", "b_n=2n+1"),
            ("a_{n}=2n+1", "a_n=2n-1"),
            ("y = 2", r"x=1 \lor x=2"),
            ("x=3", "2x=6"),
            ("x=3", "y=3"),
            ("y=x+1", "g(x)=x+1"),
            ("y=x+1", "f(x)=x+2"),
            ("f(y)=3", "y=3"),
            ("3", r"x \ne 3"),
            ("3", "x > 3"),
        ],
    ),
    "two variables": (
        [
            ("y=2x+1", "2x-y+1=0"),
            ("x^2+y^2=25", "x^2+y^2-25=0"),
            (r"\frac{x^2}{4}+\frac{y^2}{3}=1", "3x^2+4y^2=12"),
            ("x+y>3", "3<x+y"),
        ],
        [
            ("x^2+y^2=25", "x^2+y^2=24"),
            ("x^2+y^2=25", "0=0"),
            (r"\frac{x^2}{4}+\frac{y^2}{3}=1", "4x^2+3y^2=12"),
            ("x+y>3", "-x-y>-3"),
            ("x+y>3", r"x+y\ge 3"),
            ("x^2+y^2=25", "(x^2+y^2-25)(x-1)=0"),
        ],
    ),
    "roundings": (
        [
            (r"2\sqrt{2}", r"2\sqrt{2} \approx 2.83"),
            (r"2\sqrt{2}", r"x=2\sqrt2≈2.83"),
            (r"2\sqrt{2} \approx 2.83", "2.83"),
            (r"2\sqrt{2} \approx 2.83", r"2\sqrt2"),
            (r"\frac13", r"\frac13 \approx 0.33"),
        ],
        [
            (r"2\sqrt{2}", r"2\sqrt2 \approx 2.93"),
            (r"2\sqrt{2}", r"3\sqrt2 \approx 2.83"),
            (r"2\sqrt{2}", r"\approx 2.83"),
            (r"2\sqrt{2}", "2.83"),
            (r"2\sqrt{2}", r"x=3\sqrt2 \approx 2.83"),
            (r"$\cos (-2.01) \approx-0.425$", r"$\cos (-3.01) \approx-0.425$"),
            (r"\$\dfrac23 \approx \$0.67", r"\$\dfrac33 \approx \$0.67"),
        ],
    ),
    "equations of names": (
        [
            ("AC=BD", "BD=AC"),
            ("AC=BD", "AC=DB"),
            ("EB=BD", "BD=EB"),
            ("AB=2CD", r"CD=\frac12AB"),
            ("AB=5", "BA=5"),
            (r"\angle ABC=60^\circ", r"\angle CBA=60^\circ"),
            (r"AB^2=AC\cdot AD", r"BA^2=AC\cdot AD"),
            (r"\angle\beta=\angle\alpha+\angle\gamma", r"\angle\gamma+\angle\alpha=\angle\beta"),
            (r"\angle\beta=\angle\alpha+\angle\gamma", r"\beta=\alpha+\gamma"),
            (r"\angle 1=\angle 2", r"\angle 2=\angle 1"),
            ("V=IR", "V=RI"),
            ("V=IR", r"V=I\cdot R"),
            ("PV=nRT", "PV=RnT"),
        ],
        [
            ("AC=BD", "AD=BC"),
            ("AC=BD", "AC=2BD"),
            ("AC=BD", "AC"),
            ("AC=BD", "BC=AC"),
            (r"AB\cdot CD=EF\cdot GH", r"AC\cdot BD=EG\cdot FH"),
            (r"\frac{AB}{CD}=\frac{EF}{GH}", r"\frac{AB}{CG}=\frac{EF}{DH}"),
            (r"\angle ABC=60^\circ", r"\angle ACB=60^\circ"),
            (r"\overrightarrow{AB}=(1,2)", r"\overrightarrow{BA}=(1,2)"),
            (r"\angle\beta=\angle\alpha+\angle\gamma", r"\angle\beta=\angle\alpha-\angle\gamma"),
            ("y'=2x", "y=2x"),
            ("V=IR", "V=I/R"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_equations(gold, answer, is_right):
    assert judge(gold, answer) is is_right


@pytest.mark.parametrize(
    ("gold", "answer", "is_right"),
    [
        ("S_{MBCN}:S=7:32", "7:32", True),
        ("V_{1}:V_{2}=11:21", "11:21", True),
        (r"\frac{NO}{BO}=\frac{1}{\sqrt{6}}", r"\frac{1}{\sqrt{6}}", True),
        ("V_{1}:V_{2}=11:21", "21:11", False),
        (r"\frac{NO}{BO}=\frac{1}{\sqrt{6}}", r"\frac{BO}{NO}=\frac{1}{\sqrt{6}}", False),
        ("3", r"\frac{x}{2}=3", False),
        ("3", "x:2=3", False),
        ("7:32", "2:3=7:32", False),
    ],
)
def test_a_ratio_of_names_is_a_name(gold, answer, is_right):
    assert judge(gold, answer) is is_right
