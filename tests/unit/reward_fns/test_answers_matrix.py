r"""Matrices and vectors: rows `\\` are kept, entries are compared at their places."""

import pytest
from answer_kinds import cases, judge

KINDS = {
    "columns": (
        [
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\begin{pmatrix}3\\5\end{pmatrix}"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\begin{bmatrix} 3 \\ 5 \end{bmatrix}"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\left(\begin{array}{c}3\\5\end{array}\right)"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\begin{pmatrix} 3 \\[2pt] 5 \end{pmatrix}"),
        ],
        [
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\begin{pmatrix}5\\3\end{pmatrix}"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\begin{pmatrix} 3 & 5 \end{pmatrix}"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\begin{pmatrix} 3 \\ -5 \end{pmatrix}"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", "15"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", "(3,5)"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", "-2"),
            (r"\begin{pmatrix} 3 \\ 5 \end{pmatrix}", r"\begin{pmatrix} 3 \\ 5 \\ 0 \end{pmatrix}"),
        ],
    ),
    "squares": (
        [
            (
                r"\begin{pmatrix} 1/2 & \sqrt{2} \\ 0 & 1 \end{pmatrix}",
                r"\begin{pmatrix} 0.5 & \frac{2}{\sqrt2} \\ 0 & 1 \end{pmatrix}",
            ),
            (
                r"\begin{pmatrix} 1/2 & \sqrt{2} \\ 0 & 1 \end{pmatrix}",
                r"\begin{bmatrix}\frac12&\sqrt2\\0&1\\\end{bmatrix}",
            ),
            (
                r"\begin{pmatrix} 1/2 & \sqrt{2} \\ 0 & 1 \end{pmatrix}",
                r"$$\begin{pmatrix} \dfrac{1}{2} & \sqrt{2} \\ 0 & 1 \end{pmatrix}$$",
            ),
        ],
        [
            (r"\begin{pmatrix} 1 & 2500 \\ 0 & 1 \end{pmatrix}", r"\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}"),
            (r"\begin{pmatrix} 1 & 2500 \\ 0 & 1 \end{pmatrix}", r"\begin{pmatrix} 1 & 0 \\ 2500 & 1 \end{pmatrix}"),
            (r"\begin{pmatrix} 1 & 2500 \\ 0 & 1 \end{pmatrix}", r"\begin{pmatrix} 0 & 1 \\ 1 & 2500 \end{pmatrix}"),
            (r"\begin{pmatrix} 1 & 2500 \\ 0 & 1 \end{pmatrix}", r"\begin{vmatrix} 1 & 2500 \\ 0 & 1 \end{vmatrix}"),
            (r"\begin{pmatrix} 1 & 2500 \\ 0 & 1 \end{pmatrix}", "1"),
            (r"\begin{pmatrix} 1 & 2500 \\ 0 & 1 \end{pmatrix}", r"\begin{pmatrix} 1 & 2501 \\ 0 & 1 \end{pmatrix}"),
        ],
    ),
    "multiples and determinants": (
        [
            (r"\begin{pmatrix}2\\-4\end{pmatrix}", r"2\begin{pmatrix}1\\-2\end{pmatrix}"),
            (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2"),
            ("-2", r"\begin{vmatrix} 1 & 2 \\ 3 & 4 \end{vmatrix}"),
        ],
        [
            (r"\begin{pmatrix}2\\-4\end{pmatrix}", r"2\begin{pmatrix}1\\-3\end{pmatrix}"),
            (r"\begin{pmatrix}2\\-4\end{pmatrix}", r"2\begin{pmatrix}-2\\1\end{pmatrix}"),
            (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "2"),
            ("-2", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
            (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
        ],
    ),
    "piecewise": (
        [
            (
                r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}",
                r"\begin{cases} x, & x>0 \\ -x, & x \leq 0\end{cases}",
            ),
            (r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}", r"\begin{cases}x&0<x\\-x&x\leqslant 0\end{cases}"),
            (
                r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}",
                r"\left\{\begin{array}{ll} x, & x>0 \\ -x, & x\le 0 \end{array}\right.",
            ),
        ],
        [
            (r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}", r"\begin{cases} x & x>0 \\ x & x \le 0\end{cases}"),
            (
                r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}",
                r"\begin{cases} x & x\ge 0 \\ -x & x \le 0\end{cases}",
            ),
            (r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}", r"\begin{cases} -x & x>0 \\ x & x \le 0\end{cases}"),
            (r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}", "x"),
            (r"\begin{cases} x & x>0 \\ -x & x \le 0\end{cases}", r"\begin{cases} x & x>0 \end{cases}"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_matrices(gold, answer, is_right):
    assert judge(gold, answer) is is_right
