"""Boxes: parsed as models write them; resizing, overlap and matching compared with plain versions."""

import json
import time
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_cases_boxes import CASES

from reward_fns.boxes.box import area
from reward_fns.boxes.matching import best_matching
from reward_fns.boxes.overlap import iou, mean_overlap
from reward_fns.boxes.reading import MAX_BOXES, parse_boxes, parse_gold
from reward_fns.boxes.spaces import SPACE_OF_MODEL, SPACES, smart_resize


@pytest.mark.parametrize("number", range(len(CASES)))
def test_boxes_are_read_as_models_write_them(number):
    text, expected = CASES[number]
    assert parse_boxes(text) == expected


def test_the_longest_texts_are_read_in_a_moment():
    for text, _ in CASES:
        started = time.perf_counter()
        parse_boxes(text)
        assert time.perf_counter() - started < 2  # seconds; the slowest takes 0.02 on a quiet machine


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("[10, 20, 30, 40]", [(10, 20, 30, 40)]),
        ("[30, 40, 10, 20]", [(10, 20, 30, 40)]),
        ("[0.5, 1.5, 2.5, 3.5]", [(0.5, 1.5, 2.5, 3.5)]),
        ("[[0, 0, 1, 1], [2, 2, 3, 3]]", [(0, 0, 1, 1), (2, 2, 3, 3)]),
        ('{"bbox_2d": [10, 20, 30, 40]}', [(10, 20, 30, 40)]),
        ("[]", []),
        ("null", None),  # a missing value is no statement that there is no object
        ("[[]]", None),
        ("{}", None),
        ("", None),
        ("the dog", None),
        ("10 20 30 40", None),
        ("[10, 20, 30]", None),
        ("[10, 20, 10, 40]", None),
        ("[[0, 0, 1, 1], [2, 2, 2, 3]]", None),
        ("[0, 0, NaN, 1]", None),
        (None, None),
        (7, None),
        ([10, 20, 30, 40], None),
    ],
)
def test_gold_is_json_with_an_area(gold, expected):
    assert parse_gold(gold) == expected


# (height, width), factor, (height, width) of the processed image, worked out from the rule by hand
SIZES = [
    ((640, 427), 28, (644, 420)),  # 640 / 28 = 22.86 -> 23; 427 / 28 = 15.25 -> 15
    ((640, 427), 32, (640, 416)),
    ((480, 640), 28, (476, 644)),
    ((480, 640), 32, (480, 640)),
    ((5, 5), 28, (56, 56)),  # under 4 x 28^2
    ((13, 3), 28, (140, 28)),
    ((42, 280), 28, (56, 280)),  # 42 / 28 = 1.5: to the even multiple
    ((70, 280), 28, (56, 280)),  # 2.5: to the even multiple
    ((28, 28 * 200), 28, (28, 5600)),
]


@pytest.mark.parametrize(("size", "factor", "expected"), SIZES)
def test_smart_resize(size, factor, expected):
    assert smart_resize(*size, factor) == expected


def test_smart_resize_keeps_the_processors_limits():
    # 1000 x 2000 at most 1,000,000 pixels: shrink = sqrt(2), 707.1 / 28 = 25.25, 1414.2 / 28 = 50.5, both down
    assert smart_resize(1000, 2000, 28, max_pixels=1_000_000) == (25 * 28, 50 * 28)
    # 100 x 200 at least 262,144 pixels: grow = 3.62, 362.04 / 28 = 12.9, 724.08 / 28 = 25.9, both up
    assert smart_resize(100, 200, 28, min_pixels=262_144) == (13 * 28, 26 * 28)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (1, 201), (201, 1)])
def test_smart_resize_refuses_what_processors_refuse(size):
    with pytest.raises(ValueError, match="extra_info.orig_w"):
        smart_resize(*size, 28)


@settings(deadline=None)  # the first call imports torch
@given(height=st.integers(1, 5000), width=st.integers(1, 5000), factor=st.sampled_from([28, 32]))
def test_smart_resize_is_qwen_vl_utils(height, width, factor):
    vision_process = pytest.importorskip("qwen_vl_utils.vision_process")
    if max(height, width) > 200 * min(height, width):
        return
    assert smart_resize(height, width, factor) == vision_process.smart_resize(height, width, factor)


def test_every_model_family_speaks_a_known_space():
    assert set(SPACE_OF_MODEL.values()) <= SPACES.keys()
    assert SPACE_OF_MODEL["qwen2_5_vl"] == "processed"
    assert {SPACE_OF_MODEL[name] for name in ("qwen2_vl", "qwen3_vl", "internvl")} == {"0-1000"}


corner = st.floats(-1e7, 1e7)
a_box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
small = st.integers(0, 6)
grid_box = st.tuples(small, small, small, small).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


@given(a=a_box, b=a_box)
def test_iou_is_symmetric_and_bounded(a, b):
    assert iou(a, b) == iou(b, a)
    assert 0.0 <= iou(a, b) <= 1.0


@given(a=a_box)
def test_iou_with_itself_is_one_or_the_box_has_no_area(a):
    assert iou(a, a) == (1.0 if area(a) > 0 else 0.0)


@given(a=grid_box, b=grid_box)
def test_iou_is_the_share_of_cells_that_both_cover(a, b):
    def cells(box):
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    union = cells(a) | cells(b)
    assert iou(a, b) == pytest.approx(len(cells(a) & cells(b)) / len(union) if union else 0.0)


@given(a=a_box, b=a_box)
def test_iou_is_that_of_exact_fractions(a, b):
    exact_a, exact_b = ([Fraction(v) for v in box] for box in (a, b))
    width = max(Fraction(0), min(exact_a[2], exact_b[2]) - max(exact_a[0], exact_b[0]))
    height = max(Fraction(0), min(exact_a[3], exact_b[3]) - max(exact_a[1], exact_b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (exact_a, exact_b)]
    union = sum(areas) - width * height
    if union > Fraction(1, 10**12):  # below, products of floats lose their digits
        assert iou(a, b) == pytest.approx(float(width * height / union), abs=1e-6)


@given(
    weights=st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
        lambda size: st.lists(
            st.lists(st.floats(0, 1), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
        )
    )
)
def test_the_matching_is_the_best_of_all(weights):
    rows = weights if len(weights) <= len(weights[0]) else list(zip(*weights, strict=True))
    every = permutations(range(len(rows[0])), len(rows))
    best = max(sum(row[column] for row, column in zip(rows, columns, strict=True)) for columns in every)
    assert best_matching(weights) == pytest.approx(best)


X, Y, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (90, 90, 99, 99)


@pytest.mark.parametrize(
    ("predicted", "gold", "penalty", "expected"),
    [
        ([X], [X], 1, 1.0),
        ([X, Y], [Y, X], 1, 1.0),
        ([X], [X, Y], 1, 0.5),  # (1 + 0) / 2
        ([X, FAR], [X], 1, 0.5),  # 1 / (1 + 1)
        ([X, FAR], [X], 0.5, 1 / 1.5),
        ([X, FAR], [X], 0, 1.0),
        ([X, X, X], [X], 1, 1 / 3),
        ([], [], 1, 1.0),
        ([X], [], 1, 0.0),
        ([X], [], 0, 0.0),
        ([], [X], 1, 0.0),
        # greedy would pair (0,0,10,10) with its best, 0.8, and leave 0: best is 0.6 + 0.75
        ([(0, 0, 10, 8), (0, 0, 10, 6)], [X, (0, 0, 10, 8)], 1, (0.6 + 1.0) / 2),
    ],
)
def test_mean_iou(predicted, gold, penalty, expected):
    assert mean_overlap(predicted, gold, penalty, iou) == pytest.approx(expected)


def test_the_greedy_pairing_is_not_the_best():
    assert best_matching([[0.9, 0.8], [0.8, 0.1]]) == pytest.approx(1.6)  # greedy: 0.9 + 0.1


fragments = st.sampled_from(
    ["```json", "```", "[", "]", "{", "}", "(", ")", '"bbox_2d":', "<box>", "</box>", "<|box_start|>", "<|box_end|>"]
    + ["1", "-2.5", "1e400", ".", ",", " ", "\n", "NaN", "null", "none", "no object", "²", "٣", "label"]
    + ['"x1":', '"y1":', '"w":', '"top_left":', '"x":', "'", "%", "px", " to ", "x", "y", ":", "−", "top left", "{}"]
)


@given(text=st.text() | st.lists(fragments, max_size=40).map("".join))
def test_any_text_gives_boxes_in_order_or_none(text):
    for parse in (parse_boxes, parse_gold):
        parsed = parse(text)
        assert parsed is None or len(parsed) <= MAX_BOXES
        for box in parsed or ():
            assert len(box) == 4 and box[0] <= box[2] and box[1] <= box[3]


@given(corners=st.lists(st.floats(-1e7, 1e7) | st.integers(-9999, 9999), min_size=4, max_size=4))
def test_json_boxes_survive_the_trip(corners):
    x1, y1, x2, y2 = corners
    assert parse_boxes(json.dumps(corners)) == [(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))]
