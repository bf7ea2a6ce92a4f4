"""Words, wording around an answer, markdown, Chinese wording, times of day and ratios."""

import pytest
from answer_kinds import cases, judge

KINDS = {
    "introductions": (
        [
            ("42", "The value of x is 42"),
            ("42", "The area is 42 cm^2."),
            ("B", "The correct option is B"),
            ("58", "Final Answer: The final answer is $58$. I hope it is correct."),
            ("58", "Final Answer: 58"),
            ("no", "The answer is no."),
            (r"\emptyset", "There is no solution."),
            ("42", "So $x = 42$."),
            ("42", "It is 42"),
            ("B", "The correct answer is (B)."),
        ],
        [
            ("42", "The value of x is not 42"),
            ("42", "There are no 42 students"),
            ("red", "The answer is not red"),
            ("42", "x isn't 42"),
            ("42", "The value of x is 42 or 43"),
            ("42", "The wrong answer is 42"),
            ("42", "The answer is never 42"),
            ("42", "The value of x is 43"),
            ("42", "42 is not the answer"),
        ],
    ),
    "markdown": (
        [
            ("58", "**Final Answer:** 58"),
            ("58", "**58**."),
            ("B", "The answer is **B**."),
            ("58", "**58** cm"),
            ("x^{10}", "x**10"),
        ],
        [
            ("58", "**Final Answer:** 59"),
            ("58", "**5**8"),
            ("B", "**A**"),
            ("x^{10}", "x*10"),
            ("58", "5**8"),
        ],
    ),
    "Chinese": (
        [
            ("D", "答案是D"),
            ("D", "选D"),
            ("D", "故选：D"),
            ("D", "答案：D"),
            ("12", "答案：12"),
            ("12", "１２"),
            ("等腰三角形", "等腰三角形"),
            ("空集", "无解"),
        ],
        [
            ("D", "答案不是D"),
            ("D", "不选D"),
            ("D", "选A"),
            ("D", "答案是A"),
            ("12", "答案：13"),
            ("等腰三角形", "等边三角形"),
        ],
    ),
    "no solution": (
        [
            (r"\emptyset", "no solution"),
            (r"\varnothing", r"\text{no real solutions}"),
            ("无解", r"\emptyset"),
        ],
        [
            (r"\emptyset", "0"),
            (r"\emptyset", r"\{0\}"),
            (r"\emptyset", "x"),
            (r"\emptyset", r"\mathbb{R}"),
            (r"\emptyset", "all real numbers"),
            (r"\emptyset", "one solution"),
        ],
    ),
    "times of day": (
        [
            ("12:00", "12:00"),
            ("3:20 p.m.", "3:20 PM"),
            ("3:20 p.m.", "15:20"),
            (r"05\!:\!00", "5:00"),
        ],
        [
            ("12:00", "1:00"),
            ("3:20 p.m.", "3:20 a.m."),
            ("3:20 p.m.", "3:02 p.m."),
            ("3:20 p.m.", "320"),
            ("12:00", "12"),
            ("15:20", "3:20"),
        ],
    ),
    "ratios": (
        [
            ("3:4", "3∶4"),
            ("3:4", "3 : 4"),
            ("3:4", "6:8"),
            ("3:4", "15:20"),
            ("15:20", "3:4"),
            ("3:4:5", "15:20:25"),
            (r"1:\sqrt{3}", r"1:\sqrt3"),
        ],
        [
            ("3:4", "4:3"),
            ("3:4", "20:15"),
            ("3:4", "3:04 p.m."),
            ("15:20", "12:16"),
            ("3:4", "3:5"),
            ("3:4", "7"),
            ("3:4", "3:4:5"),
            ("3:4", "34"),
            (r"1:\sqrt{3}", r"\sqrt{3}:1"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_words(gold, answer, is_right):
    assert judge(gold, answer) is is_right
