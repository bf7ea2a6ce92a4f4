"""Boxes in text: parsing, coordinate spaces, overlap, and the best matching of several boxes.

A box is (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2. Accepted notations, with or without text around them:

    [10, 20, 30, 40]   [[10, 20, 30, 40], ...]   {"bbox_2d": [...], "label": "dog"}   the same in a code fence
    (10,20),(30,40)   <|box_start|>(10,20),(30,40)<|box_end|>   <box>[[10, 20, 30, 40]]</box>   x1=10 y1=20 x2=30 y2=40

`[]`, `null` and "no object" are answers too; they say that the image has no such object.

Coordinate spaces: `pixels` of the original image; `0-1000` and `0-1`, relative to its sides; `processed`, pixels of the
image after the model's processor has resized it, by `smart_resize` with patch size times merge size.
"""

import json
import re
from collections.abc import Sequence
from math import ceil, floor, sqrt

from reward_fns.matching import best_matching

Box = tuple[float, float, float, float]

SPACES = {
    "pixels": None,
    "0-1000": 1000.0,
    "0-1": 1.0,
    "processed": None,
}  # length of an image's side
SPACE_OF_MODEL = {  # `model_type` of Transformers: the space in which that family was trained to write boxes
    "qwen2_vl": "0-1000",
    "qwen2_5_vl": "processed",
    "qwen3_vl": "0-1000",
    "qwen3_vl_moe": "0-1000",
    "qwen3_5": "0-1000",
    "internvl": "0-1000",
    "internvl_chat": "0-1000",
}
MAX_BOXES = 64  # of one answer; matching more would take long
MAX_ASPECT = 200  # ratio of an image's sides; the processors refuse more

_MAX_COORDINATE = 1e7  # larger than any image, small enough that areas stay finite
_NUMBERS = (int, float)  # types of JSON numbers, which exclude bool
_KEYS = ("bbox_2d", "bbox")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUMBER = r"([-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?)"
_ANY_NUMBER = re.compile(rf"(?<![\w.]){_NUMBER}(?!\.?\d)")
_BRACKETED = re.compile(
    rf"[\[(]\s*{_NUMBER}\s*,\s*{_NUMBER}\s*(?:[\])]\s*,\s*[\[(]|,)\s*{_NUMBER}\s*,\s*{_NUMBER}\s*[\])]"
)
_TAGGED = re.compile(r"(?:<\|box_start\|>|<box>)(.*?)(?:<\|box_end\|>|</box>|\Z)", re.DOTALL)
_NO_OBJECT = re.compile(
    r"(?:there (?:is|are) )?(?:no(?: such| matching| target)?(?: objects?| targets?| match| box(?:es)?)(?: found)?"
    r"|none|nothing|not (?:found|present|visible))\W*",
    re.IGNORECASE,
)


def parse_boxes(text: str) -> list[Box] | None:
    """Return the boxes in the text of an answer, [] for "no object", or None if it has neither.

    The result is also None for JSON of another kind (strings, booleans, objects without a box) and for more than
    MAX_BOXES boxes.
    """
    if "```" in text:
        text = "\n".join(part.lstrip(_LETTERS) for part in text.split("```")[1::2])
    text = text.strip()
    if text.startswith(("[", "{", "n")):
        try:
            return _if_not_too_many(_boxes_in(json.loads(text)))
        except (ValueError, RecursionError):
            pass
    tagged = _TAGGED.findall(text) if "box" in text else []
    if tagged:
        text = "\n".join(tagged)
    matches = _BRACKETED.findall(text)
    if not matches and not _NO_OBJECT.fullmatch(text.strip()):
        matches = [_ANY_NUMBER.findall(text)]
    boxes = [box for numbers in matches if (box := _box([float(number) for number in numbers]))]
    return _if_not_too_many(boxes) if len(boxes) == len(matches) else None


def parse_gold(text: str) -> list[Box] | None:
    """Return the gold boxes of JSON text, every one with an area; [] only for the text `[]`; None for anything else."""
    try:
        value = json.loads(text)
        boxes = _if_not_too_many(_boxes_in(value))
    except (TypeError, ValueError, RecursionError):
        return None
    if boxes is None or any(area(box) <= 0 for box in boxes):
        return None
    return boxes if boxes or value == [] else None


def area(box: Box) -> float:
    """Return the area of a box, in square units of its space."""
    return (box[2] - box[0]) * (box[3] - box[1])


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, in [0, 1]; 0 if neither has an area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    union = area(a) + area(b) - intersection
    return min(1.0, intersection / union) if union > 0 else 0.0


def mean_iou(predicted: Sequence[Box], gold: Sequence[Box], extra_box_penalty: float = 1.0) -> float:
    """Return the mean IoU, in [0, 1], of the best one-to-one matching of predicted and gold boxes.

        sum of the matched IoUs / (gold boxes + extra_box_penalty * max(0, predicted boxes - gold boxes))

    A gold box without a partner counts 0. If both lists are empty, the result is 1; if only one is, 0.

    Args:
        predicted, gold: boxes in the same space.
        extra_box_penalty: weight of each predicted box in excess of the gold boxes.
    """
    if not predicted or not gold:
        return float(not predicted and not gold)
    if len(predicted) == len(gold) == 1:
        return iou(predicted[0], gold[0])
    overlaps = [[iou(a, b) for b in predicted] for a in gold]
    extra = max(0, len(predicted) - len(gold))
    return min(1.0, best_matching(overlaps) / (len(gold) + extra_box_penalty * extra))


def smart_resize(
    height: int, width: int, factor: int, min_pixels: int | None = None, max_pixels: int | None = None
) -> tuple[int, int]:
    """Return the size to which a Qwen-VL processor resizes an image: multiples of `factor`, area within two limits.

    Args:
        height, width: size of the original image in pixels.
        factor: patch size times merge size: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL and Qwen3.5.
        min_pixels, max_pixels: limits of the area; None for 4 and 16384 times factor^2.

    Returns:
        (height, width) in pixels. Sides are rounded to the nearest multiple, and halves to the even multiple.

    Raises:
        ValueError: a side is not positive, or one is more than MAX_ASPECT times the other.

    Source: `smart_resize` of qwen_vl_utils 0.0.14.
    """
    if min(height, width) <= 0 or max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"image size: got {width} x {height} pixels, expected positive sides with a ratio of at most {MAX_ASPECT}; "
            "set extra_info.orig_w and orig_h in the data"
        )
    least = 4 * factor**2 if min_pixels is None else min_pixels
    most = 16384 * factor**2 if max_pixels is None else max_pixels
    rows, columns = (max(1, round(side / factor)) for side in (height, width))
    if rows * columns * factor**2 > most:
        shrink = sqrt(height * width / most)
        rows, columns = (max(1, floor(side / shrink / factor)) for side in (height, width))
    elif rows * columns * factor**2 < least:
        grow = sqrt(least / (height * width))
        rows, columns = (ceil(side * grow / factor) for side in (height, width))
    return rows * factor, columns * factor


def scale(box: Box, x_factor: float, y_factor: float) -> Box:
    """Multiply the x coordinates of a box by one factor and its y coordinates by another."""
    return box[0] * x_factor, box[1] * y_factor, box[2] * x_factor, box[3] * y_factor


def _if_not_too_many(boxes: list[Box] | None) -> list[Box] | None:
    return boxes if boxes is not None and len(boxes) <= MAX_BOXES else None


def _boxes_in(value: object) -> list[Box] | None:
    if isinstance(value, dict):
        key = next((key for key in _KEYS if key in value), None)
        return None if key is None else _boxes_in(value[key])
    if value is None:
        return []
    if not isinstance(value, list):
        return None
    if value and not isinstance(value[0], list | dict):
        box = _box(value)
        return None if box is None else [box]
    boxes = []
    for item in value:
        item_boxes = _boxes_in(item)
        if item_boxes is None:
            return None
        boxes += item_boxes
    return boxes


def _box(value: list) -> Box | None:
    if len(value) != 4:
        return None
    for number in value:
        if type(number) not in _NUMBERS or not -_MAX_COORDINATE <= number <= _MAX_COORDINATE:
            return None
    x1, y1, x2, y2 = map(float, value)
    return (x1 if x1 < x2 else x2), (y1 if y1 < y2 else y2), (x2 if x1 < x2 else x1), (y2 if y1 < y2 else y1)
