"""The grounding reward: hand-computed cases, every status, a fixed key set, and properties on arbitrary input."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_fns import grounding

GOLD = "[0, 0, 10, 10]"
KEYS = ["score", "accuracy", "format", "iou", "status"]


def score(response, gold=GOLD, **kwargs):
    return grounding.compute_score("shapes", response, gold, **kwargs)


def answer(text):
    return f"<answer>{text}</answer>"


# (response, gold, expected iou, expected format, expected status); score = iou + 0.5 * format
CASES = {
    "exact": (answer("[0, 0, 10, 10]"), GOLD, 1.0, 1.0, "ok"),
    # overlap 10 x 5 = 50, union 100 + 100 - 50 = 150
    "shifted by half": (answer("[0, 5, 10, 15]"), GOLD, 50 / 150, 1.0, "ok"),
    # overlap 10 x 6 = 60, union 100 + 60 - 60 = 100
    "inside": (answer("[0, 0, 10, 6]"), GOLD, 0.6, 1.0, "ok"),
    "disjoint": (answer("[20, 20, 30, 30]"), GOLD, 0.0, 1.0, "ok"),
    "touching edge": (answer("[10, 0, 20, 10]"), GOLD, 0.0, 1.0, "ok"),
    "zero area": (answer("[5, 5, 5, 9]"), GOLD, 0.0, 1.0, "ok"),
    # 7.5 x 10 = 75 of 100
    "floats": (answer("[2.5, 0.0, 10.0, 1e1]"), GOLD, 0.75, 1.0, "ok"),
    # overlap 10 x 10 = 100, union 15 x 10 = 150
    "negative": (answer("[-5, 0, 10, 10]"), GOLD, 100 / 150, 1.0, "ok"),
    "swapped corners": (answer("[10, 10, 0, 0]"), GOLD, 1.0, 1.0, "ok"),
    "swapped corners of the gold": (answer("[0, 0, 10, 10]"), "[10, 0, 0, 10]", 1.0, 1.0, "ok"),
    "float gold": (answer("[0, 0, 5, 5]"), "[0.0, 0.0, 5.0, 10.0]", 0.5, 1.0, "ok"),
    "object": (answer('{"bbox_2d": [0, 0, 10, 6], "label": "dog 2"}'), GOLD, 0.6, 1.0, "ok"),
    "object in a list": (answer('[{"bbox_2d": [0, 0, 10, 6]}]'), GOLD, 0.6, 1.0, "ok"),
    "box in a list": (answer("[[0, 0, 10, 6]]"), GOLD, 0.6, 1.0, "ok"),
    "fence": (answer('\n```json\n{"bbox_2d": [0, 0, 10, 6]}\n```\n'), GOLD, 0.6, 1.0, "ok"),
    "fence without language": (answer("```\n[0, 0, 10, 6]\n```"), GOLD, 0.6, 1.0, "ok"),
    "single quotes": (answer("{'bbox_2d': [0, 0, 10, 6]}"), GOLD, 0.6, 1.0, "ok"),
    "pairs as text": (answer("(0, 0), (10, 6)"), GOLD, 0.6, 1.0, "ok"),
    "after thinking": ("<think>[9, 9, 9, 9]?</think>" + answer("[0, 0, 10, 6]"), GOLD, 0.6, 1.0, "ok"),
    "two answers, the last counts": (answer("[0, 0, 1, 1]") + answer("[0, 0, 10, 6]"), GOLD, 0.6, 0.0, "bad_format"),
    "stray opening tag": ("<answer>" + answer("[0, 0, 10, 6]"), GOLD, 0.6, 0.0, "bad_format"),
    "three numbers": (answer("[0, 0, 10]"), GOLD, 0.0, 0.0, "bad_format"),
    "two boxes": (answer("[[0, 0, 10, 10], [0, 0, 10, 6]]"), GOLD, 0.0, 0.0, "bad_format"),
    "five numbers of text": (answer("dog 2: 0 0 10 10"), GOLD, 0.0, 0.0, "bad_format"),
    "prose": (answer("the dog"), GOLD, 0.0, 0.0, "bad_format"),
    "strings": (answer('["0", "0", "10", "10"]'), GOLD, 0.0, 0.0, "bad_format"),
    "booleans": (answer("[false, false, true, true]"), GOLD, 0.0, 0.0, "bad_format"),
    "not a number": (answer("[0, 0, NaN, 10]"), GOLD, 0.0, 0.0, "bad_format"),
    "infinite": (answer("[0, 0, 1e999, 10]"), GOLD, 0.0, 0.0, "bad_format"),
    "integer too long for a float": (answer(f"[0, 0, {'9' * 400}, 10]"), GOLD, 0.0, 0.0, "bad_format"),
    "deep nesting": (answer("[" * 100_000), GOLD, 0.0, 0.0, "bad_format"),
    "empty answer": (answer(""), GOLD, 0.0, 0.0, "bad_format"),
    "no tags": ("[0, 0, 10, 10]", GOLD, 0.0, 0.0, "no_answer"),
    "cut off": ("<answer>[0, 0, 10, 10]", GOLD, 0.0, 0.0, "no_answer"),
    "tags reversed": ("</answer>[0, 0, 10, 10]<answer>", GOLD, 0.0, 0.0, "no_answer"),
    "empty response": ("", GOLD, 0.0, 0.0, "no_answer"),
    "gold is prose": (answer("[0, 0, 10, 10]"), "the dog", 0.0, 0.0, "bad_gold"),
    "gold of three numbers": (answer("[0, 0, 10]"), "[0, 0, 10]", 0.0, 0.0, "bad_gold"),
    "gold without area": (answer("[5, 5, 5, 9]"), "[5, 5, 5, 9]", 0.0, 0.0, "bad_gold"),
    "gold missing": (answer("[0, 0, 10, 10]"), None, 0.0, 0.0, "bad_gold"),
    "response is not text": (None, GOLD, 0.0, 0.0, "error"),
}


@pytest.mark.parametrize("case", CASES)
def test_hand_computed(case):
    response, gold, expected_iou, expected_format, expected_status = CASES[case]
    result = score(response, gold)
    assert list(result) == KEYS
    assert result["status"] == expected_status
    assert result["iou"] == pytest.approx(expected_iou)
    assert result["format"] == expected_format
    assert result["score"] == pytest.approx(expected_iou + 0.5 * expected_format)
    assert result["accuracy"] == (1.0 if expected_iou > 0.5 else 0.0)
    assert [type(result[key]) for key in KEYS] == [float, float, float, float, str]


def test_every_status_has_a_case():
    assert {case[-1] for case in CASES.values()} == {"ok", "no_answer", "bad_format", "bad_gold", "error"}


def test_iou_of_exactly_one_half_is_not_accurate():
    # 10 x 5 = 50 of 100
    assert score(answer("[0, 0, 10, 5]"))["iou"] == 0.5
    assert score(answer("[0, 0, 10, 5]"))["accuracy"] == 0.0


def test_format_weight():
    # 0.6 + 1.0 * 1
    assert score(answer("[0, 0, 10, 6]"), format_weight=1.0)["score"] == pytest.approx(1.6)
    assert score(answer("[0, 0, 10, 6]"), format_weight=0.0)["score"] == pytest.approx(0.6)


def test_unknown_arguments_are_accepted():
    assert score(answer("[0, 0, 10, 10]"), extra_info={"num_turns": 1}, reward_router_address=None)["score"] == 1.5


def test_loads_by_path_without_entering_sys_modules():
    path = Path(grounding.__file__)
    spec = importlib.util.spec_from_file_location("reward_loaded_by_path", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "reward_loaded_by_path" not in sys.modules
    assert module.compute_score("shapes", answer("[0, 0, 10, 10]"), GOLD)["score"] == 1.5


fragments = st.sampled_from(
    ["<answer>", "</answer>", "```json", "```", "[", "]", "{", '"bbox_2d":', "1", "-2.5", "1e400", ",", " ", "NaN", "²"]
)
texts = st.text() | st.lists(fragments, max_size=30).map("".join) | st.text().map(answer)
coordinates = st.floats(allow_nan=True, allow_infinity=True) | st.integers()
boxes = st.lists(coordinates, min_size=3, max_size=5).map(json.dumps)
anything = st.none() | st.integers() | st.binary() | st.lists(st.integers())


@given(
    response=texts | boxes.map(answer) | anything,
    gold=texts | boxes | anything,
    weight=st.floats(0, 2, allow_nan=False),
)
def test_never_raises_and_stays_in_range(response, gold, weight):
    result = score(response, gold, format_weight=weight)
    assert list(result) == KEYS
    assert 0.0 <= result["score"] <= 1.0 + weight
    assert 0.0 <= result["iou"] <= 1.0


corner = st.floats(-1e7, 1e7)
ordered_boxes = st.tuples(corner, corner, corner, corner).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


@given(a=ordered_boxes, b=ordered_boxes)
def test_iou_is_symmetric_and_bounded(a, b):
    assert grounding.iou(a, b) == grounding.iou(b, a)
    assert 0.0 <= grounding.iou(a, b) <= 1.0


@given(a=ordered_boxes)
def test_iou_with_itself_is_one_or_the_box_has_no_area(a):
    area = (a[2] - a[0]) * (a[3] - a[1])
    assert grounding.iou(a, a) == (1.0 if area > 0 else 0.0)
