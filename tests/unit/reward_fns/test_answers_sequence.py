"""Lists, sets, tuples, parts, systems and the two values of plus-minus."""

import pytest
from answer_kinds import cases, judge

KINDS = {
    "points": (
        [
            (r"(6,16) \text{ or } (20,-22)", "(6,16), (20,-22)"),
            ("(6,16), (20,-22)", r"(20,-22) \text{ or } (6,16)"),
            ("(11,7)or(7,11)", r"(7,11),\ (11,7)"),
        ],
        [
            ("(6,16), (20,-22)", "(16,6), (20,-22)"),
            ("(6,16), (20,-22)", "(6,16)"),
            (r"(6,16) \text{ or } (20,-22)", "(6,16), (20,22)"),
            ("(6,16), (20,-22)", "6, 16, 20, -22"),
            ("(6,16), (20,-22)", "(6,16,20,-22)"),
        ],
    ),
    "letters": (
        [("A, C", "AC"), ("A, C", "C and A"), ("A, C", "A/C")],
        [("A, C", "A or C"), ("A, C", "A"), ("A, C", "A, B, C"), ("A, C", "B, C"), ("A, C", "C or A")],
    ),
    "sets and lists": (
        [
            (r"\{1,2\}", "1,2"),
            ("1,2,3", r"\{3,2,1\}"),
            ("-12;-11", r"\{-12,-11\}"),
            (r"\{3\}", "3"),
            ("4 or 9", "9 或 4"),
            ("1 & 3", "1, 3"),
        ],
        [
            (r"\{1,2\}", "(1,2)"),
            ("1,2", "(1,2)"),
            ("(1,2)", "1,2"),
            (r"\{1,2\}", r"\{1,2,3\}"),
            ("1,2", "1,3"),
            ("4 or 9", "4"),
            ("1,2", "[1,2]"),
        ],
    ),
    "plus-minus": (
        [
            (r"\pm 3", "3, -3"),
            (r"x=\pm 2", r"x=2 \text{ or } x=-2"),
            (r"1\pm\sqrt{2}", r"1+\sqrt{2}, 1-\sqrt{2}"),
            (r"\frac{-1\pm\sqrt{13}}{4}", r"\frac{-1+\sqrt{13}}{4}, \frac{-1-\sqrt{13}}{4}"),
        ],
        [
            (r"\pm 3", "3"),
            (r"\pm 3", "-3"),
            (r"x=\pm 2", "x=2, x=3"),
            (r"1\pm\sqrt{2}", r"1+\sqrt{2}"),
            (r"1\pm\sqrt{2}", r"1\pm\sqrt{3}"),
            (r"\pm 3", "3, 3"),
            ("3, -3", "3, 3"),
        ],
    ),
    "systems": (
        [
            (r"\begin{cases}x=2\\y=10\end{cases}", "x=2, y=10"),
            ("x=2, y=10", "(2,10)"),
            ("x=1,y=-2", "(1,-2)"),
            ("y=-2,x=1", "(1,-2)"),
            ("(1,-2)", "x=1,y=-2"),
            (r"\begin{cases}x=2,\\y=10.\end{cases}", "(2,10)"),
            ("x=2,y=10", r"\begin{array}{l}x=2\\y=10\end{array}"),
        ],
        [
            (r"\begin{cases}x=2\\y=10\end{cases}", r"\begin{cases}x=10\\y=2\end{cases}"),
            (r"\begin{cases}x=2\\y=10\end{cases}", "(10,2)"),
            ("x=1,y=-2", "(-2,1)"),
            ("x=1,y=-2", "-2, 1"),
            ("x=1,y=-2", "x=-2,y=1"),
            ("x=1,y=-2", "x=1"),
            ("(1,-2)", "x=-2, y=1"),
        ],
    ),
    "tuples": (
        [
            (r"(\frac12,\sqrt2)", r"(0.5, \frac{2}{\sqrt2})"),
            (r"\langle1,2\rangle", r"\left\langle 1, 2 \right\rangle"),
            ("(1,2),(3,4)", "(3,4),(1,2)"),
        ],
        [
            ("(1,2)", "(2,1)"),
            (r"\langle1,2\rangle", r"\langle2,1\rangle"),
            ("(1,2),(3,4)", "(1,2),(4,3)"),
            ("(1,2)", "(1,2,0)"),
            ("(1,2)", "1+2"),
            ("(1,2)", r"\{1,2\}"),
        ],
    ),
    "labelled values": (
        [
            ("A: 3, B: 5", "B: 5, A: 3"),
            ("(A) 3 (B) 5", "A: 3; B: 5"),
            (r"J: $4 \mathrm{hr}, \mathrm{S}: 14 \mathrm{hr}$", "J: 4 hours, S: 14 hours"),
            ("I: yes", "I: yes"),
        ],
        [
            ("A: 3, B: 5", "A: 7, B: 9"),
            ("A: 3, B: 5", "A: 5, B: 3"),
            ("(A) 3 (B) 5", "(A) 7 (B) 9"),
            ("(A) 3 (B) 5", "(A) 5 (B) 3"),
            ("(A) 3 (B) 5", "A"),
            ("I: yes", "I: no"),
            ("J: 4 hr, S: 14 hr", "J: 5 hr, S: 14 hr"),
        ],
    ),
    "several choices": (
        [
            ("A, C", "A、C"),
            ("A, C", "A和C"),
            ("A, C", "C and A"),
            ("A, C", "AC"),
            ("A, C", "A/C"),
            ("ACD", "A, C, D"),
            ("①③", "③①"),
            ("①③", "①、③"),
        ],
        [
            ("A, C", "AB"),
            ("A, C", "A"),
            ("A, C", "ACD"),
            ("AC", "CA"),
            ("M, N, Q, P", "M, N, P, Q"),
            ("①③", "①"),
            ("①③", "①②"),
            ("①③", "13"),
        ],
    ),
}


@pytest.mark.parametrize(("gold", "answer", "is_right"), cases(KINDS))
def test_sequences(gold, answer, is_right):
    assert judge(gold, answer) is is_right
