"""Answers of one's own rows: boxes in each form and space, and choices."""

import json

import pytest
from data_fixtures import encoded, write
from own_rows import ANSWER, BOX, convert, golds, lines, row

from data_prep.row.boxes import parse_boxes
from data_prep.row.choices import answer_among, parse_choices, with_choices
from data_prep.types import Rejection
from reward_fns import auto

# -- boxes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "form", "space", "gold"),
    [
        ([10, 20, 40, 60], "xyxy", "pixels", [10, 20, 40, 60]),
        ([10, 20, 30, 40], "xywh", "pixels", [10, 20, 40, 60]),
        ([100, 200, 500, 1000], "xyxy", "0-1000", [12, 18, 60, 90]),  # of 120 x 90 pixels
        ([0.25, 0.5, 0.5, 0.5], "xywh", "0-1", [30, 45, 90, 90]),
        ([[1, 2, 30, 40], [50, 60, 70, 80]], "xyxy", "pixels", [[1, 2, 30, 40], [50, 60, 70, 80]]),
        ([[1, 2, 30, 40]], "xyxy", "pixels", [1, 2, 30, 40]),
        ("[[0, 0, 500, 500]]", "xyxy", "0-1000", [0, 0, 60, 45]),
        ([], "xyxy", "pixels", []),
    ],
)
def test_boxes_become_pixels_and_their_reward_pays_them(tmp_path, box, form, space, gold):
    write(tmp_path / "a.png", encoded())
    source = lines(tmp_path / "my.jsonl", row(box=box))
    (written,), _ = convert(source, tmp_path / "out", *BOX, space, "--box-format", form)
    (text,) = golds([written])
    assert json.loads(text) == gold and written["data_source"] == "grounding/own"
    assert written["prompt"][0]["content"].startswith("<image>How many? First output the thinking")
    result = auto.compute_score(written["data_source"], f"<answer>{text}</answer>", text, written["extra_info"])
    assert (result["iou"], result["accuracy"]) == (1, 1)


@pytest.mark.parametrize(
    ("box", "space", "reason"),
    [
        ([10, 20, 40, 60], "0-1", "box_outside_image"),
        ([10, 20, 400, 600], "pixels", "box_outside_image"),
        ([0.1, 0.2, 0.5, 0.6], "pixels", "box_not_in_pixels"),
        ([0.1, 0.2, 0.5, 0.6], "0-1000", "box_not_in_pixels"),
        ([[1, 2, 30, 40], [1, 2, 3]], "pixels", "box_malformed"),
        (None, "pixels", "box_malformed"),
        ({"x": 1}, "pixels", "box_malformed"),
        ([[10, 20, 40, 60]] * 65, "pixels", "unearnable_gold"),  # more than the reward matches
    ],
)
def test_boxes_that_do_not_fit_are_rejected(tmp_path, box, space, reason):
    write(tmp_path / "a.png", encoded())
    rows = [row(box=box), row(box=[1, 2, 3, 4], question="Where?")]
    _, rejects = convert(lines(tmp_path / "my.jsonl", *rows), tmp_path / "out", *BOX, space, "--box-format", "xyxy")
    assert rejects[0]["source"] == "my.jsonl:1" and rejects[0]["reason"] == reason


def test_an_expression_is_asked_as_refcocos_are(tmp_path):
    write(tmp_path / "a.png", encoded())
    source = lines(tmp_path / "my.jsonl", row(question=" The  <image> red Dog."), row(question=" "))
    options = ["--expression", "question", "--box", "box", "--image", "image", "--box-space", "0-1"]
    lines(tmp_path / "my.jsonl", *(json.loads(line) | {"box": [0, 0, 0.5, 0.5]} for line in source.open()))
    (written,), rejects = convert(source, tmp_path / "out", *options, "--box-format", "xyxy")
    asked = "<image>Please provide the bounding box coordinate of the region this sentence describes: "
    assert written["prompt"][0]["content"].startswith(f"{asked}The < image> red Dog. First output")
    assert [reject["reason"] for reject in rejects] == ["question_empty"]


def test_parse_boxes_reads_prose_with_one_list_as_before():
    assert parse_boxes("at [1, 2, 3, 4]", "xywh") == ((1, 2, 4, 6),)
    assert isinstance(parse_boxes("[1, 2, 3, 4] or [5, 6, 7, 8]", "xyxy"), Rejection)


# -- choices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        (["1", 2], ("1", "2")),
        ('["1", "2"]', ("1", "2")),
        ({"A": "1", "B": "2", "C": None}, ("1", "2")),
        ('{"a": "1"}', ("1",)),
        (None, None),
        ("", None),
        ([], None),
    ],
)
def test_choices_are_a_list_or_by_letter(value, choices):
    assert parse_choices(value) == choices


@pytest.mark.parametrize("value", ["A or B", {"B": "1", "A": "2"}, {"x": 1}, 5, "5"])
def test_what_is_no_list_of_choices(value):
    assert parse_choices(value).reason == "row_malformed"


def test_the_answer_is_a_choice_or_its_letter():
    choices = ("dog", "Cat", "$\\frac{1}{2}$")
    assert [answer_among(choices, text) for text in ("b", "(C)", "A.", "cat", "\\frac{1}{2}")] == [
        "B", "C", "A", "cat", "\\frac{1}{2}",
    ]  # fmt: skip
    for text in ("1", "D", "bird", "AB", "é"):  # 1 counts from 0 or from 1
        assert answer_among(choices, text).reason == "answer_no_choice"
    assert answer_among(choices, "").reason == "answer_empty"


def test_choices_are_listed_unless_the_question_has_them():
    assert with_choices("Which?", ("dog", "cat")) == "Which?\nA. dog\nB. cat"
    assert with_choices("A) dog B) cat?", ("dog", "cat")) == "A) dog B) cat?"


def test_rows_with_choices_are_paid_by_letter_and_by_value(tmp_path):
    write(tmp_path / "a.png", encoded())
    choices = ["dog", "cat", "bird"]
    source = lines(
        tmp_path / "my.jsonl",
        row(question="Which?", answer="b", options=choices),
        row(question="What?", answer="bird", options=choices),
        row(question="How?", answer=1, options=choices),
        row(question="How many legs?", answer=4, options=None),
    )
    rows, rejects = convert(source, tmp_path / "out", *ANSWER, "--choices", "options")
    assert golds(rows) == ["B", "bird", "4"] and [reject["reason"] for reject in rejects] == ["answer_no_choice"]
    assert rows[0]["prompt"][0]["content"].startswith("<image>Which?\nA. dog\nB. cat\nC. bird Think first")
    assert rows[2]["extra_info"]["choices"] is None
    for row_number, right, wrong in ((0, ("B", "cat"), ("A", "bird")), (1, ("C", "bird"), ("B", "cat"))):
        info, gold = rows[row_number]["extra_info"], golds(rows)[row_number]
        for answer in right + wrong:
            response = f"<think>so</think> \\boxed{{{answer}}}"
            assert auto.compute_score("math/own", response, gold, info)["accuracy"] == (answer in right), answer
