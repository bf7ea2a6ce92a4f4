"""Options that shape a score: gates, length and repetitions, by hand; and verl's own soft-overlong penalty."""

import pytest

from reward_fns import math, shaping
from reward_fns.settings import reported

RIGHT, WRONG, BARE = "<think>so</think> \\boxed{7}", "<think>so</think> \\boxed{8}", "\\boxed{7}"
OFF = shaping.DEFAULTS


def scored(response, **settings):
    return math.compute_score("any", response, "7", **settings)


def test_everything_is_off_by_default():
    assert scored(RIGHT * 1)["score"] == 1.0
    assert scored("so so so so " * 500 + BARE)["score"] == 0.9
    assert scored("so " * 500)["score"] == 0.0


def test_with_the_gate_accuracy_needs_the_form():
    assert scored(RIGHT, format_gates=True)["score"] == 1.0
    assert scored(WRONG, format_gates=True)["score"] == pytest.approx(0.1)
    assert scored(BARE, format_gates=True) == {"score": 0.0, "accuracy": 1.0, "format": 0.0, "status": "bad_format"}


@pytest.mark.parametrize(
    ("length", "right", "wrong"),
    [
        (0, 1.0, -0.5),
        (25, 0.9267767, -0.4267767),  # cos(pi/4) = 0.70711: share (1 + 0.70711)/2 = 0.85355; 0.5 + 0.5 * 0.85355
        (50, 0.75, -0.25),  # half way
        (100, 0.5, 0.0),
        (200, 0.5, 0.0),  # open-r1's would be 1.0 again
    ],
)
def test_the_cosine_of_the_length(length, right, wrong):
    settings = {**OFF, "cosine_max_length": 100}
    assert shaping.accuracy_term(1, True, "x" * length, settings) == pytest.approx(right)
    assert shaping.accuracy_term(0, True, "x" * length, settings) == pytest.approx(wrong)
    assert shaping.accuracy_term(0.5, True, "x" * length, settings) == pytest.approx((right + wrong) / 2)


def test_the_cosine_stands_in_the_score_and_no_answer_counts_as_wrong():
    settings = {"cosine_max_length": 2 * len(RIGHT)}
    assert scored(RIGHT, **settings)["score"] == pytest.approx(0.9 * 0.75 + 0.1)
    assert scored(WRONG, **settings)["score"] == pytest.approx(0.9 * -0.25 + 0.1)
    assert scored("x" * len(RIGHT), **settings)["score"] == pytest.approx(0.9 * -0.25)
    assert scored("", **settings)["score"] == pytest.approx(0.9 * -0.5)
    values = {"cosine_wrong_short": -10, "cosine_right_short": 2, "cosine_right_long": 1}  # the paper's
    assert scored("", **settings, **values)["score"] == pytest.approx(0.9 * -10)
    assert scored(RIGHT, **settings, **values)["score"] == pytest.approx(0.9 * 1.5 + 0.1)


def test_with_gate_and_cosine_a_response_without_the_form_counts_as_wrong():
    score = scored(BARE, cosine_max_length=2 * len(BARE), format_gates=True)["score"]
    assert score == pytest.approx(0.9 * -0.25)


@pytest.mark.parametrize(
    ("text", "ngram", "share"),
    [
        ("a b c d", 3, 0.0),  # abc, bcd
        ("a b c a b c", 3, 0.25),  # abc, bca, cab, abc
        ("A a a a a", 3, 2 / 3),  # 3 times aaa
        ("a b a b", 2, 1 / 3),  # ab, ba, ab
        ("a b", 3, 0.0),
        ("", 3, 0.0),
        ("\u4e00\u4e8c\u4e00\u4e8c", 2, 1 / 3),  # each Chinese character is a word
        ("\u4e00\u4e8c3.5 cm\u4e00\u4e8c", 2, 0.2),  # five pairs of six words, one of them twice
    ],
)
def test_the_share_of_repetitions(text, ngram, share):
    settings = {**OFF, "repetition_penalty": 2.0, "repetition_ngram": ngram}
    assert shaping.repetition_penalty(text, settings) == pytest.approx(2 * share)


def test_repetitions_cost_points_with_and_without_an_answer():
    loop = "a b c a b c"
    assert scored(loop, repetition_penalty=1.0)["score"] == pytest.approx(-0.25)
    # words: <think>a b c a b c</think> \boxed{7}: five 3-grams, all different because the tags touch the words
    assert scored(f"<think>{loop}</think> \\boxed{{7}}", repetition_penalty=1.0)["score"] == 1.0
    # <think> a b c a b c </think> \boxed{7}: seven 3-grams, abc twice
    assert scored(f"<think> {loop} </think> \\boxed{{7}}", repetition_penalty=1.0)["score"] == pytest.approx(1 - 1 / 7)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("format_gates", "yes"),
        ("format_gates", 1),
        ("cosine_max_length", 0),
        ("cosine_max_length", "long"),
        ("cosine_right_short", None),
        ("cosine_wrong_long", float("nan")),
        ("repetition_penalty", -1.0),
        ("repetition_ngram", 0),
        ("repetition_ngram", 2.5),
        ("grader", "mathruler"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_its_key(setting, value, caplog):
    reported.clear()
    assert scored(RIGHT, **{setting: value})["status"] == "error"
    assert f"{setting}: got {value!r}" in caplog.text and f"reward_kwargs.{setting}" in caplog.text


@pytest.mark.parametrize(
    ("golds", "answer", "status", "accuracy"),
    [
        (["7", "8"], "8", "ok", 1.0),
        (("7", "8"), "7", "ok", 1.0),
        (["7", "8"], "9", "ok", 0.0),
        (["\\frac{1}{", "8"], "8", "ok", 1.0),
        (["8", None], "8", "ok", 1.0),
        ([None, 8], "8", "bad_gold", 0.0),
        (["", ""], "8", "bad_gold", 0.0),
        (['["7", "8"]'], "8", "ok", 0.0),  # the text of a list is one gold
        (["7", "8"], "7, 8", "ok", 0.0),
    ],
)
def test_of_a_list_of_golds_any_is_right(golds, answer, status, accuracy):
    result = math.compute_score("any", f"<think>so</think> \\boxed{{{answer}}}", golds, timeout_s=60)
    assert (result["status"], result["accuracy"]) == (status, accuracy)


def test_an_array_is_a_list_of_golds():
    numpy = pytest.importorskip("numpy")
    assert math.compute_score("any", "<think>so</think> \\boxed{8}", numpy.array(["7", "8"]))["accuracy"] == 1.0


def test_the_other_grader_decides_without_our_rules():
    answer, info = "<think>so</think> \\boxed{B}", {"choices": ["5", "7"]}
    assert math.compute_score("any", answer, "7", info)["accuracy"] == 1.0
    assert math.compute_score("any", answer, "7", info, grader="math_verify", timeout_s=60)["accuracy"] == 0.0
    assert math.compute_score("any", answer, "B", info, grader="math_verify", timeout_s=60)["score"] == 1.0
