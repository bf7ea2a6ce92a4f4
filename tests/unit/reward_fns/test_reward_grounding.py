"""The grounding reward: hand-computed cases, every status, a fixed key set, and properties on arbitrary input."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reward_cases_boxes import ONE_BOX, OTHER_BOXES

from reward_fns import grounding
from reward_fns.settings import reported

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
    # 1 matched of one true box and one too many
    "two boxes": (answer("[[0, 0, 10, 10], [0, 0, 10, 6]]"), GOLD, 0.5, 1.0, "ok"),
    # 0.6 + 1 of two
    "two of two": (answer("[[20, 0, 30, 10], [0, 0, 10, 6]]"), "[[0, 0, 10, 10], [20, 0, 30, 10]]", 0.8, 1.0, "ok"),
    "one of two": (answer("[0, 0, 10, 10]"), "[[0, 0, 10, 10], [20, 0, 30, 10]]", 0.5, 1.0, "ok"),
    "no object, rightly": (answer("[]"), "[]", 1.0, 1.0, "ok"),
    "no object, in words": (answer("No such object."), "[]", 1.0, 1.0, "ok"),
    "no object, wrongly": (answer("[]"), GOLD, 0.0, 0.0, "bad_format"),
    "an object that is not there": (answer("[0, 0, 10, 10]"), "[]", 0.0, 1.0, "ok"),
    "box in prose": (answer("It is at [0, 0, 10, 6], I think."), GOLD, 0.6, 1.0, "ok"),
    "five numbers of text": (answer("dog 2: 0 0 10 10"), GOLD, 0.0, 0.0, "bad_format"),
    "prose": (answer("the dog"), GOLD, 0.0, 0.0, "bad_format"),
    "numbers as text": (answer('["0", "0", "10", "10"]'), GOLD, 1.0, 1.0, "ok"),
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
    "gold is null": (answer("[]"), "null", 0.0, 0.0, "bad_gold"),
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


@pytest.mark.parametrize(("preset", "weight"), [("ecvgpo", 0.5), ("vlm_r1", 1.0)])
@pytest.mark.parametrize("number", range(len(ONE_BOX)))
def test_every_style_of_every_model_earns_its_box(number, preset, weight):
    response = "<think>Where is it? [1, 2, 3, 4]?</think>\n" + answer(ONE_BOX[number])
    result = score(response, "[10, 20, 30, 40]", preset=preset)
    assert result == {"score": 1 + weight, "accuracy": 1.0, "format": 1.0, "iou": 1.0, "status": "ok"}
    result = score(response, "[10, 20, 50, 40]", preset=preset)  # 20 x 20 of 40 x 20
    assert (result["iou"], result["score"]) == (0.5, 0.5 + weight)


@pytest.mark.parametrize("number", range(len(OTHER_BOXES)))
def test_every_other_answer_against_a_box_that_it_misses(number):
    text, boxes_in_it = OTHER_BOXES[number]
    result = score(answer(text), "[900, 900, 910, 910]")
    has_boxes = bool(boxes_in_it)  # "no object" is no form that is paid where there is one
    assert result == {
        "score": 0.5 * has_boxes,
        "accuracy": 0.0,
        "format": float(has_boxes),
        "iou": 0.0,
        "status": "ok" if has_boxes else "bad_format",
    }


@pytest.mark.parametrize("preset", ["ecvgpo", "vlm_r1"])
@pytest.mark.parametrize("text", ["none", "no object", "[]", "{}", "null", '{"boxes": []}'])
def test_no_object_is_paid_only_where_there_is_none(text, preset):
    response = "<think>Where is it?</think>" + answer(text)
    assert score(response, "[10, 20, 30, 40]", preset=preset)["score"] == 0.0
    if text != "{}":
        assert score(response, "[]", preset=preset)["format"] == 1.0


def test_shaping():
    """Form that gates, length and repetitions, as in the maths reward; `iou` stays what it was."""
    gold, right, bare = "[0, 0, 10, 10]", answer("[0, 0, 10, 10]"), answer("[0, 0, 10, 10]") + " and so on"
    assert score(bare, gold)["score"] == 1.0 + 0.5  # the form `answer` takes anything around it
    assert score(bare, gold, form="think_answer")["score"] == 1.0
    assert score(bare, gold, form="think_answer", format_gates=True) == score(bare, gold, form="think_answer") | {
        "score": 0.0
    }
    assert score(right, gold, cosine_max_length=len(right))["score"] == pytest.approx(0.5 + 0.5)
    assert score("", gold, cosine_max_length=100)["score"] == -0.5  # not to answer is no better than to be wrong
    assert score(right + " a a a a", gold, repetition_penalty=1, repetition_ngram=1)["score"] == pytest.approx(
        1.5 - 3 / 8
    )
    with pytest.raises(ValueError, match=r"repetition_penalty: got -1"):
        grounding.settings_of(repetition_penalty=-1)


def test_presets_differ_in_weight_and_form():
    response = answer("[0, 0, 10, 10]")
    assert score(response, preset="ecvgpo")["score"] == 1.5
    assert score(response, preset="vlm_r1")["score"] == 1.0  # no think block: the form is not kept
    assert score(response, preset="vlm_r1")["status"] == "bad_format"
    assert score("<think>so</think>" + response, preset="vlm_r1")["score"] == 2.0
    assert score("<think>so</think>" + response, preset="vlm_r1", format_weight=0.25)["score"] == 1.25


def test_a_threshold_scores_all_or_nothing():
    # IoU 0.6
    response = answer("[0, 0, 10, 6]")
    assert score(response, iou_threshold=0.5)["score"] == 1.5
    assert score(response, iou_threshold=0.6)["score"] == 0.5  # above it, not at it
    assert score(response, iou_threshold=0.5)["iou"] == pytest.approx(0.6)
    assert score(answer("[0, 0, 10, 4]"), iou_threshold=0.0)["score"] == 1.5


def test_extra_boxes_cost_what_the_setting_says():
    response = answer("[[0, 0, 10, 10], [50, 50, 60, 60]]")
    assert score(response)["iou"] == 0.5
    assert score(response, extra_box_penalty=0)["iou"] == 1.0
    assert score(response, extra_box_penalty=3)["iou"] == 0.25


@pytest.mark.parametrize(
    ("response", "form", "expected"),
    [
        ("[0, 0, 10, 10]", "free", "ok"),
        ("I see it. <|box_start|>(0,0),(10,10)<|box_end|>", "free", "ok"),
        ('```json\n[{"bbox_2d": [0, 0, 10, 10], "label": "dog"}]\n```', "free", "ok"),
        ("<think>[1, 2, 3, 4]</think> [0, 0, 10, 10]", "free", "ok"),
        ("<box>[0, 0, 10, 10]</box>", "answer", "no_answer"),
        ("\\boxed{[0, 0, 10, 10]}", "boxed", "ok"),
        ("<think>so</think> \\boxed{[0, 0, 10, 10]}", "think_boxed", "ok"),
        ("\\boxed{[0, 0, 10, 10]}", "think_boxed", "bad_format"),
        ("<think>so</think>", "free", "no_answer"),
    ],
)
def test_the_form_says_where_the_answer_is(response, form, expected):
    result = score(response, form=form)
    assert result["status"] == expected
    assert result["iou"] == (0.0 if expected == "no_answer" else 1.0)


# an image of 640 x 480; the gold box, in its pixels, is [64, 48, 320, 240]
SPACES = [
    ("pixels", "[64, 48, 320, 240]", {}),
    ("0-1000", "[100, 100, 500, 500]", {}),
    ("0-1", "[0.1, 0.1, 0.5, 0.5]", {}),
    # 644 x 476 after resizing: 64.4, 47.6, 322, 238
    ("processed", "[64.4, 47.6, 322, 238]", {"patch_size": 14}),
    # Qwen3-VL, factor 32: 640 x 480 as it is
    ("processed", "[64, 48, 320, 240]", {"patch_size": 16}),
    # at most 100,000 pixels: shrink = sqrt(3.072), 480 / 1.7527 / 28 = 9.78, 640 / 1.7527 / 28 = 13.04: 364 x 252
    ("processed", "[36.4, 25.2, 182, 126]", {"patch_size": 14, "max_pixels": 100_000}),
]


@pytest.mark.parametrize(("space", "box", "settings"), SPACES)
def test_the_models_space_is_brought_to_original_pixels(space, box, settings):
    size = {"orig_w": 640, "orig_h": 480}
    result = score(answer(box), "[64, 48, 320, 240]", extra_info=size, box_space=space, **settings)
    assert result["iou"] == pytest.approx(1.0)


WRONG_SETTINGS = [
    ({"box_space": "0-1000"}, "orig_w"),
    ({"box_space": "0-1000", "extra_info": {"orig_w": 640}}, "orig_h"),
    ({"box_space": "processed", "extra_info": {"orig_w": 640, "orig_h": 480}}, "patch_size"),
    ({"box_space": "processed", "patch_size": 14, "extra_info": {"orig_w": 6400, "orig_h": 4}}, "ratio"),
    ({"box_space": "0-100"}, "0-1000"),
    ({"preset": "vlmr1"}, "vlm_r1"),
    ({"form": "tags"}, "think_answer"),
    ({"format_weigth": 1.0}, "format_weigth"),
    ({"format_weight": "1.0"}, "format_weight"),
    ({"format_weight": -1}, "format_weight"),
    ({"extra_box_penalty": -1}, "extra_box_penalty"),
    ({"iou_threshold": float("nan")}, "iou_threshold"),
]


@pytest.mark.parametrize(("settings", "named"), WRONG_SETTINGS)
def test_a_wrong_setting_is_an_error_and_one_message_that_names_it(settings, named, caplog):
    reported.clear()
    for _ in range(3):
        assert score(answer("[0, 0, 10, 10]"), **settings)["status"] == "error"
    assert len(caplog.records) == 1
    assert named in caplog.text and "set " in caplog.text


fragments = st.sampled_from(
    ["<answer>", "</answer>", "<think>", "</think>", "```json", "```", "[", "]", "{", '"bbox_2d":', "<box>", "(", ")"]
    + ["1", "-2.5", "1e400", ",", " ", "NaN", "²", "\\boxed{", "}"]
)
texts = st.text() | st.lists(fragments, max_size=30).map("".join) | st.text().map(answer)
coordinates = st.floats(allow_nan=True, allow_infinity=True) | st.integers()
boxes = st.lists(coordinates, min_size=3, max_size=5).map(json.dumps)
anything = st.none() | st.integers() | st.binary() | st.lists(st.integers())


@given(
    response=texts | boxes.map(answer) | anything,
    gold=texts | boxes | anything,
    weight=st.floats(0, 2, allow_nan=False),
    form=st.sampled_from(["answer", "think_answer", "boxed", "think_boxed", "free"]),
    extra_info=st.none() | st.fixed_dictionaries({"orig_w": st.integers(-5, 5000), "orig_h": st.integers(-5, 5000)}),
    space=st.sampled_from(["pixels", "0-1000", "0-1", "processed", None]),
)
def test_never_raises_and_stays_in_range(response, gold, weight, form, extra_info, space):
    settings = {"format_weight": weight, "form": form, "box_space": space, "patch_size": 14}
    result = score(response, gold, extra_info=extra_info, **settings)
    assert list(result) == KEYS
    assert 0.0 <= result["score"] <= 1.0 + weight
    assert 0.0 <= result["iou"] <= 1.0
