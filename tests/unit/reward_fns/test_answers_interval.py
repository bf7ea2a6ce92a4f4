"""Intervals, unions and inequalities; an open interval is neither its ends nor a set."""

import pytest
from answer_kinds import cases, judge

KINDS = {
    "open interval": (
        [
            ("(0,1)", "0<x<1"),
            ("(0,1)", "1>x>0"),
            ("(0,1)", r"\{x|0<x<1\}"),
            ("(0,1)", r"x \in (0,1)"),
            ("(0,1)", "x>0 and x<1"),
            ("(0,1)", r"\left(0, 1\right)"),
        ],
        [
            ("(0,1)", r"\{0,1\}"),
            ("(0,1)", "0,1"),
            ("(0,1)", "[0,1]"),
            ("(0,1)", r"0\le x<1"),
            ("(0,1)", "(1,0)"),
            ("(0,1)", "(0,2)"),
            ("(0,1)", r"0 \text{ and } 1"),
            ("(0,1)", "x<0 or x>1"),
        ],
    ),
    "half-lines": (
        [
            (r"(2,\infty)", "x>2"),
            (r"(2,\infty)", "2<x"),
            ("x>2", r"(2,+\infty)"),
            (r"(-\infty,5)", "x<5"),
            (r"x \ge \sqrt{2}", r"[\sqrt2,\infty)"),
        ],
        [
            (r"(2,\infty)", r"x\ge 2"),
            (r"(2,\infty)", "x<2"),
            ("x>2", "y>2"),
            (r"(-\infty,5)", r"(\infty,5)"),
            (r"(2,\infty)", r"(2,\infty]"),
            (r"(2,\infty)", "2"),
            (r"(2,\infty)", "x>3"),
            ("x>2", "2x>4"),
        ],
    ),
    "closed and half-open": (
        [
            ("[1,2]", r"1\le x\le 2"),
            ("[1,2]", r"x\in[1,2]"),
            (r"[1,\sqrt{3})", r"1\leq x < \sqrt3"),
        ],
        [
            ("[1,2]", r"\{1,2\}"),
            ("[1,2]", "1,2"),
            ("(1,2]", "(1,2)"),
            ("[1,2)", "(1,2]"),
            (r"[1,\sqrt{3})", r"[1,\sqrt{2})"),
        ],
    ),
    "unions": (
        [
            (r"x<1 \text{ or } x>3", r"(-\infty,1)\cup(3,\infty)"),
            (r"x<1 \text{ or } x>3", "x>3 或 x<1"),
            (r"x<1 \text{ or } x>3", r"\{x | x<1 \text{ or } x>3\}"),
            (r"x \neq 2", r"(-\infty,2)\cup(2,\infty)"),
            (r"\mathbb{R}", r"(-\infty,\infty)"),
            (r"\mathbb{R}", r"\text{all real numbers}"),
        ],
        [
            (r"x<1 \text{ or } x>3", "(1,3)"),
            (r"x<1 \text{ or } x>3", "1<x<3"),
            (r"x<1 \text{ or } x>3", r"(-\infty,1]\cup(3,\infty)"),
            (r"x<1 \text{ or } x>3", "x<1"),
            (r"x<1 \text{ or } x>3", r"(-\infty,1)\cap(3,\infty)"),
            (r"x<1 \text{ or } x>3", r"(-\infty,1)\cup(3,\infty]"),
            (r"x<1 \text{ or } x>3", "1, 3"),
            (r"x \neq 2", "2"),
            (r"\mathbb{R}", r"(-\infty,\infty]"),
            (r"\mathbb{R}", "no solution"),
        ],
    ),
    "unions with irrational ends": (
        [
            (r"(-\infty,-\sqrt{2})\cup(\sqrt{2},+\infty)", r"x>\sqrt2 \text{ or } x<-\sqrt2"),
            (r"(-\infty,-\sqrt{2})\cup(\sqrt{2},+\infty)", r"(\sqrt{2},+\infty)\cup(-\infty,-\sqrt{2})"),
            (r"(\pi,\infty)\cup(-\infty,-\sqrt2)\cup(1,2)", r"x<-\sqrt2 or 1<x<2 or x>\pi"),
        ],
        [
            (r"(-\infty,-\sqrt{2})\cup(\sqrt{2},+\infty)", r"x>\sqrt3 \text{ or } x<-\sqrt2"),
            (r"(-\infty,-\sqrt{2})\cup(\sqrt{2},+\infty)", r"x>-\sqrt2 \text{ or } x<\sqrt2"),
            (r"(-\infty,-\sqrt{2})\cup(\sqrt{2},+\infty)", r"x\ge\sqrt2 \text{ or } x<-\sqrt2"),
            (r"(-\infty,-\sqrt{2})\cup(\sqrt{2},+\infty)", r"x>\sqrt2 \text{ or } x>\sqrt2"),
            (r"(-\infty,-\sqrt{2})\cup(\sqrt{2},+\infty)", r"x>\sqrt2"),
        ],
    ),
    "conditions of flowcharts": (
        [
            (r"i\leqslant 10?", r"i \le 10"),
            (r"i\leqslant 10", r"i \le 10?"),
            ("K<10?", "K<10"),
        ],
        [
            (r"i\leqslant 10?", "i<10"),
            (r"i\leqslant 10?", "i>10"),
            ("i<10?", "i<11?"),
            ("i<10?", "?"),
            ("i<10?", "10"),
        ],
    ),
    "conditions that a variable is an integer": (
        [
            (r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})", r"k\pi+\frac{\pi}{6}, k\in\mathbb{Z}"),
            (r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})", r"k\pi+\frac{\pi}{6}"),
            (r"k\pi+\frac{\pi}{6}", r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})"),
            (r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})", r"k\pi+\frac{\pi}{6} \text{ where } k \text{ is an integer}"),
            (r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})", r"\frac{\pi}{6}+k\pi (k为整数)"),
            ("a_n=2n-1 (n∈N*)", r"2n-1, n\in\mathbb{N}_+"),
            (r"[k\pi,1+k\pi], k\in Z", r"[k\pi,k\pi+1] (k\in Z)"),
        ],
        [
            (r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})", r"k\pi+\frac{\pi}{3}, k\in\mathbb{Z}"),
            (r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})", r"k\in\mathbb{Z}"),
            (r"\frac{\pi}{6}+k\pi (k\in\mathbb{Z})", r"k\pi+\frac{\pi}{6}, k>0"),
            (r"2n (n\in N^*)", r"2n (n\in Z)"),
            (r"x>1, x\in Z", "x>1"),
            ("x>1", r"x>1, x\in Z"),
        ],
    ),
    "conditions on a variable": (
        [
            ("y=-2x+8(0<x<4)", "y=8-2x (0<x<4)"),
            ("y=-2x+8(0<x<4)", "y=8-2x, 0<x<4"),
            ("y=-2x+8(0<x<4)", "y=8-2x (4>x>0)"),
            ("y=-2x+8(0<x<4)", r"y=8-2x (x \in (0,4))"),
            ("y=-2x+8(0<x<4)", "8-2x (0<x<4)"),
            (r"y=\frac1x, x\neq 0", r"y=\frac{1}{x} (x\ne0)"),
            (r"a_n=2n (n\ge2)", r"a_n=2n (n\ge2, n\in N^*)"),
        ],
        [
            ("y=-2x+8(0<x<4)", "y=8-2x"),
            ("y=8-2x", "y=-2x+8(0<x<4)"),
            ("y=-2x+8(0<x<4)", "y=8-2x (0<x<5)"),
            ("y=-2x+8(0<x<4)", r"y=8-2x (0\le x<4)"),
            ("y=-2x+8(0<x<4)", "y=8+2x (0<x<4)"),
            ("y=-2x+8(0<x<4)", "y=8-2x (y>0)"),
            ("y=-2x+8(0<x<4)", "0<x<4"),
            ("x=1", "x=1, x>0"),
            ("x>1, x<3", "x>1"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_intervals(gold, answer, is_right):
    assert judge(gold, answer) is is_right
