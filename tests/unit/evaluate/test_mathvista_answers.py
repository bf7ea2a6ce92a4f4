"""MathVista's rule: numbers as people write them, to the row's precision, and what is no number."""

import pytest
from benchmark_rows import mathvista_row, score

from verl_plugins.evaluate.benchmarks import mathvista


@pytest.mark.parametrize(
    ("fields", "answer", "is_right"),
    [
        ({}, "1.2", 1),
        ({}, "1.24 cm", 1),  # rounded to one decimal
        ({}, "1.26", 0),
        ({"precision": 2.0, "answer": "1.20"}, "1.21", 0),
        ({"answer_type": "integer", "answer": "7"}, "7", 1),
        ({"answer_type": "integer", "answer": "7"}, "7.9", 1),  # as the authors' int(float(...))
        ({"answer_type": "integer", "answer": "7"}, "8", 0),
        ({"answer_type": "integer", "answer": "1200"}, "1,200", 1),
        ({"answer_type": "integer", "answer": "7"}, "7 or 8", 0),
        ({"answer_type": "list", "answer": "[1, 2.5]"}, "[1.0, 2.5]", 1),
        ({"answer_type": "list", "answer": "[1, 2.5]"}, "[2.5, 1]", 0),
        ({"answer_type": "text", "answer": "Yes"}, "yes", 1),
        ({"choices": ["145°", "3"], "answer": "145°", "answer_type": "text"}, "(A)", 1),
        ({"choices": ["145°", "3"], "answer": "145°", "answer_type": "text"}, "145", 1),
        ({"choices": ["145°", "3"], "answer": "145°", "answer_type": "text"}, "B", 0),
    ],
)
def test_mathvista_rounds_to_the_rows_precision(fields, answer, is_right):
    assert score(mathvista.FORMAT, mathvista_row(**fields), answer)["accuracy"] == is_right


def test_mathvista_tells_what_it_could_not_read():
    assert score(mathvista.FORMAT, mathvista_row(), "", "<think>so</think>%s")["status"] == "no_answer"
    assert score(mathvista.FORMAT, mathvista_row(), "long")["status"] == "bad_format"
    assert score(mathvista.FORMAT, mathvista_row(answer="about two"), "2")["status"] == "bad_gold"
    assert mathvista.read(mathvista_row(choices=["3", "4"], answer="5"), 0, "").reason == "answer_is_no_choice"
    assert mathvista.read(mathvista_row(answer=None), 0, "").reason == "answer_empty"


FLOAT = {"answer": "0.5", "precision": 1.0}
INTEGER = {"answer_type": "integer", "precision": None}
LIST = {"answer_type": "list", "precision": None, "answer": "[2, 5, 1]"}


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (FLOAT, "0.5 m^2"),
        (FLOAT, r"0.5\ \text{m/s}^2"),
        (FLOAT, "0.5cm2"),
        (FLOAT, r"v_{10} = 0.5 \mathrm{~m} / \mathrm{s}^{2}"),
        (FLOAT, r"\frac{1}{2}"),
        (FLOAT, "1/2 kg"),
        (FLOAT, "50%"),
        (FLOAT, r"5 \times 10^{-1}"),
        ({**INTEGER, "answer": "14"}, r"\frac{28}{2}"),
        ({**INTEGER, "answer": "14"}, r"\frac{28}{2} = 14"),
        ({**INTEGER, "answer": "14"}, "14 (apples)"),
        ({**INTEGER, "answer": "25"}, r"25\%"),
        ({**INTEGER, "answer": "1400"}, r"1.4 \times 10^3"),
        ({**INTEGER, "answer": "1400"}, r"1.4 \cdot 10^{3}\,\text{m}^3"),
        ({**INTEGER, "answer": "1400"}, "1.4e3"),
        ({**INTEGER, "answer": "1400"}, "1{,}400 m"),
        ({**INTEGER, "answer": "230"}, r"2.3 \times 10^2"),  # 229.99999999999997 in floats
        ({**INTEGER, "answer": "45"}, "45^{\\circ}"),
        ({"answer": "1.5"}, r"1\frac{1}{2}"),
        ({"answer": "3.46", "precision": 2.0}, r"2\sqrt{3}"),
        ({"answer": "6.28", "precision": 2.0}, r"2\pi"),
        (LIST, "2, 5, 1"),
        (LIST, "(2, 5, 1)"),
        (LIST, r"\{2, 5, 1\}"),
        (LIST, r"\left[2, 5, \frac{3}{3}\right]"),
        (LIST, "The order is [2, 5, 1]."),
        ({**LIST, "answer": "[2014, 2016]"}, "2014 and 2016"),
    ],
)
def test_mathvista_reads_numbers_as_people_write_them(fields, answer):
    assert score(mathvista.FORMAT, mathvista_row(**fields), answer)["accuracy"] == 1


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (FLOAT, "2 m^5"),
        (FLOAT, r"\frac{2}{1}"),
        (FLOAT, "5%"),
        (FLOAT, r"5 \times 10^{1}"),
        (FLOAT, "0.5 or 0.6"),
        (FLOAT, "x > 0.5"),
        (FLOAT, r"\pm 0.5"),
        (FLOAT, "x = 1 and y = 0.5"),
        ({**INTEGER, "answer": "14"}, "28/14"),
        ({**INTEGER, "answer": "14"}, "14:1"),
        ({**INTEGER, "answer": "-1"}, "7-8"),
        ({**INTEGER, "answer": "4"}, r"4\pi"),
        ({**INTEGER, "answer": "3"}, "3 m 20 cm"),
        ({**INTEGER, "answer": "1400"}, r"1.4 \times 10^4"),
        ({**INTEGER, "answer": "1"}, r"\frac{1}{0}"),
        ({**INTEGER, "answer": "9"}, "9^{9^{9^{9}}}"),
        ({**INTEGER, "answer": "2"}, "(" * 190 + "2"),
        (LIST, "1, 5, 2"),
        (LIST, "2, 5"),
        (LIST, "2, 5, 1, 1"),
        (LIST, "[[2, 5], 1]"),
        (LIST, "251"),
        ({**LIST, "answer": "[2014, 2016]"}, "2014-2016"),
    ],
)
def test_mathvista_reads_no_number_that_is_not_the_answers_only_one(fields, answer):
    assert score(mathvista.FORMAT, mathvista_row(**fields), answer)["accuracy"] == 0
