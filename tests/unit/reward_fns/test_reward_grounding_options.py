"""Options of the grounding reward: GIoU, IoU thresholds, labels, and the size of the image; attempts to cheat."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from reward_fns import grounding
from reward_fns.boxes.overlap import giou_score, iou
from reward_fns.settings import reported

GOLD = "[0, 0, 10, 10]"
PAIR = '[{"bbox_2d": [0, 0, 10, 10], "label": "cat"}, {"bbox_2d": [20, 0, 30, 10], "label": "dog"}]'


def score(answer, gold=GOLD, extra_info=None, **settings):
    return grounding.compute_score(
        "shapes", f"<answer>{answer}</answer>", gold, extra_info, format_weight=0, **settings
    )


# boxes, and (1 + GIoU) / 2 = (IoU + U / C) / 2 by hand
GIOUS = [
    ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
    ((0, 0, 10, 10), (0, 0, 10, 5), 0.75),  # IoU 50 / 100, U / C = 1
    ((0, 0, 10, 10), (10, 0, 20, 10), 0.5),  # side by side: IoU 0, U / C = 200 / 200
    ((0, 0, 10, 10), (30, 0, 40, 10), 0.25),  # apart: U / C = 200 / 400
    ((0, 0, 10, 10), (70, 0, 80, 10), 0.125),  # further apart: 200 / 800
    ((0, 0, 10, 10), (5, 5, 15, 15), (25 / 175 + 175 / 225) / 2),
    ((0, 0, 10, 10), (0, 0, 100, 100), 0.505),  # around it: IoU 1 / 100, U / C = 1
    ((5, 5, 5, 5), (5, 5, 5, 5), 0.0),  # no area around both
]


@pytest.mark.parametrize(("a", "b", "expected"), GIOUS)
def test_giou_score_by_hand(a, b, expected):
    assert giou_score(a, b) == giou_score(b, a) == pytest.approx(expected)


small = st.integers(0, 6)
grid_box = st.tuples(small, small, small, small).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


@given(a=grid_box, b=grid_box)
def test_giou_score_counts_the_cells_around_both(a, b):
    def cells(box):
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    union = len(cells(a) | cells(b))
    around = len(cells((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))))
    giou = iou(a, b) - (around - union) / around if around else -1
    assert giou_score(a, b) == pytest.approx((1 + giou) / 2)


def test_the_score_is_that_of_giou_and_the_metrics_those_of_iou():
    result = score("[30, 0, 40, 10]", overlap="giou")
    assert (result["score"], result["iou"], result["accuracy"], result["status"]) == (0.25, 0.0, 0.0, "ok")
    result = score("[0, 0, 10, 6]", overlap="giou")  # IoU 0.6, inside
    assert (result["score"], result["iou"], result["accuracy"]) == (pytest.approx(0.8), 0.6, 1.0)
    # two boxes of one: (1 + 1) / 2 of the first, over 1 true and 1 superfluous box
    assert score("[[0, 0, 10, 10], [70, 0, 80, 10]]", overlap="giou")["score"] == 0.5
    assert score("[]", overlap="giou")["score"] == 0.0


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [([0.5], 1.0), ([0.5, 0.7], 0.5), ([0.5, 0.55, 0.65, 0.7], 0.5), ([0.6], 0.0), ([0.7, 0.9], 0.0), (0.5, 1.0)],
)
def test_a_list_of_thresholds_scores_the_share_that_the_iou_is_above(thresholds, expected):
    for value in (
        thresholds,
        OmegaConf.create({"list": thresholds}).list,
    ):  # verl passes lists as they stand in its config
        result = score("[0, 0, 10, 6]", iou_threshold=value)  # IoU 0.6
        assert (result["score"], result["iou"], result["accuracy"]) == (expected, 0.6, 1.0)


def labelled(*labels):
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10]]
    return json.dumps([{"bbox_2d": box, "label": label} for box, label in zip(boxes, labels, strict=True)])


@pytest.mark.parametrize(
    ("answer", "iou_of_labelled", "plain_iou"),
    [
        (labelled("cat", "dog"), 1.0, 1.0),
        (labelled(" Cat ", "DOG"), 1.0, 1.0),
        ('{"boxes": ' + labelled("cat", "dog") + "}", 1.0, 1.0),
        ('[{"Label": "dog", "Position": [20, 0, 30, 10]}, {"label": "cat", "rect": [0, 0, 10, 10]}]', 1.0, 1.0),
        (labelled("cat", "cat"), 0.5, 1.0),
        (labelled("cat", "dogs"), 0.5, 1.0),
        (labelled("dog", "cat"), 0.0, 1.0),
        (labelled("cat dog", "cat dog"), 0.0, 1.0),
        (labelled("", ""), 0.0, 1.0),
        (labelled(None, None), 0.0, 1.0),
        ("[[0, 0, 10, 10], [20, 0, 30, 10]]", 0.0, 1.0),  # without labels
        # each box under both labels: 2 of 2 true and 2 superfluous boxes
        (labelled("cat", "dog")[:-1] + ", " + labelled("dog", "cat")[1:], 0.5, 0.5),
    ],
)
def test_labels_must_match_if_the_setting_says_so(answer, iou_of_labelled, plain_iou):
    result = score(answer, PAIR, match_labels=True)
    assert (result["score"], result["iou"], result["status"]) == (iou_of_labelled, plain_iou, "ok")
    assert score(answer, PAIR)["score"] == plain_iou


CAT, DOG = '{"bbox_2d": [0, 0, 10, 10], "label": "cat"}', '{"bbox_2d": [20, 0, 30, 10], "label": "dog"}'


@pytest.mark.parametrize(
    ("answer", "iou_of_labelled", "plain_iou"),
    [
        (f"Here they are: [{CAT}, {DOG}]. That is all.", 1.0, 1.0),
        (f"[{CAT}, {DOG},]", 1.0, 1.0),
        (f"{CAT}\n{DOG}", 1.0, 1.0),
        (f"The cat is {CAT} and the dog {DOG}.", 1.0, 1.0),
        (f"```json\n[{CAT}]\n```\nand\n```json\n[{DOG}]\n```", 1.0, 1.0),
        (f"First {CAT}, then {DOG}".replace('"', "'"), 1.0, 1.0),
        ("<ref>cat</ref><box>[[0, 0, 10, 10]]</box><ref>dog</ref><box>[[20, 0, 30, 10]]</box>", 1.0, 1.0),
        (
            "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(0,0),(10,10)<|box_end|>"
            "<|object_ref_start|>dog<|object_ref_end|><|box_start|>(20,0),(30,10)<|box_end|>",
            1.0,
            1.0,
        ),
        (f"{CAT} and [20, 0, 30, 10]", 0.5, 1.0),  # the second has no label
        ("<ref>dog</ref><box>[[0, 0, 10, 10]]</box><ref>cat</ref><box>[[20, 0, 30, 10]]</box>", 0.0, 1.0),
        (f"{CAT}, {DOG} or [40, 0, 50, 10]", 2 / 3, 2 / 3),  # three boxes for two
        (f"Here: [{CAT}, {DOG}]".replace("cat", "dog").replace("[20", "[40"), 0.0, 0.5),
    ],
)
def test_labels_are_read_wherever_the_boxes_stand(answer, iou_of_labelled, plain_iou):
    result = score(answer, PAIR, match_labels=True)
    assert (result["score"], result["iou"], result["status"]) == (iou_of_labelled, plain_iou, "ok")
    assert score(answer, PAIR)["score"] == plain_iou


def test_labels_go_with_giou_and_thresholds():
    # the cat alone has its label: 1 + 0 of 2 boxes
    for settings in ({"overlap": "giou"}, {"iou_threshold": 0.4}):
        expected = 0.5 if "overlap" in settings else 1.0
        assert score(labelled("cat", "cow"), PAIR, match_labels=True, **settings)["score"] == expected


def test_a_gold_box_without_a_label_cannot_be_matched_by_label():
    assert score(GOLD, GOLD, match_labels=True)["status"] == "bad_gold"
    assert score("[]", "[]", match_labels=True)["score"] == 1.0


SIZES = [("640", "480"), (640.0, 480.0), (" 640 ", "480.0"), (640, "480")]


@pytest.mark.parametrize("size", SIZES)
def test_a_size_may_be_text(size):
    info = dict(zip(("orig_w", "orig_h"), size, strict=True))
    for space, answer in (("0-1000", "[100, 100, 500, 500]"), ("processed", "[64.4, 47.6, 322, 238]")):
        result = score(answer, "[64, 48, 320, 240]", info, box_space=space, patch_size=14)
        assert (result["iou"], result["status"]) == (pytest.approx(1.0), "ok")


WRONG_SIZES = [float("nan"), "nan", float("inf"), 0, "0", -640, "-640", "", "640px", True, None, [640], 10**400]


@pytest.mark.parametrize("width", WRONG_SIZES)
@pytest.mark.parametrize("space", ["0-1000", "0-1", "processed"])
def test_a_size_that_is_none_is_told(width, space, caplog):
    reported.clear()
    result = score(GOLD, GOLD, {"orig_w": width, "orig_h": 480}, box_space=space, patch_size=14)
    assert result == {"score": 0.0, "accuracy": 0.0, "format": 0.0, "iou": 0.0, "status": "error"}
    assert "extra_info: got orig_w=" in caplog.text and "set extra_info.orig_w" in caplog.text


PROCESSED = {"box_space": "processed", "patch_size": 14}
WRONG_SETTINGS = [
    ({"overlap": "diou"}, "overlap: got 'diou', expected one of iou, giou"),
    ({"overlap": "giou", "iou_threshold": 0.5}, "iou_threshold: got it beside overlap=giou"),
    ({"iou_threshold": []}, "iou_threshold: got an empty list"),
    ({"iou_threshold": [0.5, 50]}, "iou_threshold: got 50, expected a number in [0, 1]"),
    ({"iou_threshold": "0.5"}, "iou_threshold: got '0.5'"),
    ({"match_labels": "yes"}, "match_labels: got 'yes', expected true or false"),
    ({**PROCESSED, "min_pixels": 2000, "max_pixels": 1000}, "min_pixels: got 2000, expected at most max_pixels"),
    ({**PROCESSED, "min_pixels": 28 * 28 * 16385}, "which is 12845056"),  # 16384 x 28^2, the processor's own limit
    ({**PROCESSED, "max_pixels": 3000}, "min_pixels: got 3136"),  # 4 x 28^2
    ({**PROCESSED, "max_pixels": "1000000"}, "max_pixels: got '1000000'"),
    ({**PROCESSED, "min_pixels": 0}, "min_pixels: got 0"),
    ({"box_space": "processed", "patch_size": "14"}, "patch_size: got '14'"),
    ({**PROCESSED, "merge_size": float("nan")}, "merge_size: got nan"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG_SETTINGS)
def test_a_wrong_setting_is_told_before_the_run(settings, message):
    with pytest.raises(ValueError) as raised:
        grounding.settings_of(**settings)
    assert message in str(raised.value) and "set reward.custom_reward_function.reward_kwargs." in str(raised.value)


# attempts to earn a score without the box, and the most that they may earn of 1; the image is 640 x 480
CHEATS = [
    ("[0, 0, 640, 480]", 0.001),  # the whole image: 100 / 307,200
    ("[-1e6, -1e6, 1e6, 1e6]", 0.001),
    ("[-1e7, -1e7, 1e9, 1e9]", 0.0),  # larger than any image: no box
    ("[10, 10, 0, 0]", 1.0),  # swapped corners are the box itself
    ("[5, 5, 5, 5]", 0.0),
    (json.dumps([[x, y, x + 10, y + 10] for x in range(0, 80, 10) for y in range(0, 80, 10)]), 1 / 64),
    (json.dumps([[0, 0, 10, 10]] * 65), 0.0),  # too many
    (json.dumps([[0, 0, 10, 10]] * 2), 0.5),
    ('{"dog": [0, 0, 10, 10], "cat": [90, 90, 99, 99]}', 0.5),
    ('{"bbox_2d": [90, 90, 99, 99], "answer": [0, 0, 10, 10]}', 0.0),  # one key counts
    ("[]", 0.0),
    ("[[], [0, 0, 10, 10], []]", 1.0),  # one box
    ("no object", 0.0),
    ("[NaN, NaN, NaN, NaN]", 0.0),
    ("[0, 0, Infinity, Infinity]", 0.0),
    ("[0%, 0%, 10%, 10%]", 0.0),
    ("x: 0-10, y: 0-10", 0.0),
]


@pytest.mark.parametrize(("answer", "most"), CHEATS)
def test_no_cheat_earns_more_than_its_overlap(answer, most):
    assert score(answer)["score"] == pytest.approx(most, abs=0.001)
    assert score(answer, overlap="giou")["score"] <= max(most, 0.501)  # a box around the gold has GIoU = IoU
