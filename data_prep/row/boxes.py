"""Boxes: from what data sets write to xyxy in pixels of the original image."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from data_prep.types import Box, Reject

EDGE_TOLERANCE = 5  # pixels; annotators draw a little past the edge, but boxes of another space reach further
_LIST = re.compile(r"\[[^\[\]]*\]")


def parse_box(value: Any) -> Box | Reject:
    """Four finite numbers from a list, a list of one list, the JSON text of either, or text around one such list."""
    if isinstance(value, str):
        lists = _LIST.findall(value)
        if len(lists) != 1:
            return Reject("box_malformed", f"got {value[:80]!r}, expected one list of four numbers")
        try:
            value = json.loads(lists[0])
        except (ValueError, RecursionError):
            return Reject("box_malformed", f"got {lists[0][:80]!r}, expected a JSON list of four numbers")
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    try:
        is_number = [isinstance(v, int | float) and not isinstance(v, bool) for v in value]
        if is_number == [True] * 4 and all(math.isfinite(v) for v in value):
            x1, y1, x2, y2 = (float(v) for v in value)
            return x1, y1, x2, y2
    except (TypeError, OverflowError):
        pass
    return Reject("box_malformed", f"got {str(value)[:80]}, expected four finite numbers")


def xyxy_from_xywh(box: Box) -> Box:
    """Corners from a corner, a width and a height."""
    x, y, width, height = box
    return x, y, x + width, y + height


def fit_to_image(box: Box, width: int, height: int) -> Box | Reject:
    """The box with its corners in order and cut off at the image's edges.

    Args:
        box: xyxy in pixels; may have swapped corners, or reach EDGE_TOLERANCE pixels past an edge.
        width, height: of the original image, in pixels.
    """
    seen = f"box {[round(v, 2) for v in box]} in an image of {width} x {height}"
    x1, x2 = sorted((box[0], box[2]))
    y1, y2 = sorted((box[1], box[3]))
    if x1 == x2 or y1 == y2:
        return Reject("box_without_area", seen)
    if x1 >= 0 and y1 >= 0 and x2 <= 1 and y2 <= 1:
        return Reject("box_not_in_pixels", seen)
    if min(x1, y1) < -EDGE_TOLERANCE or x2 > width + EDGE_TOLERANCE or y2 > height + EDGE_TOLERANCE:
        return Reject("box_outside_image", seen)
    x1, x2 = max(0.0, round(x1, 2)), min(float(width), round(x2, 2))
    y1, y2 = max(0.0, round(y1, 2)), min(float(height), round(y2, 2))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else Reject("box_without_area", seen)


def box_json(box: Box) -> str:
    """The JSON text of a box: at most two decimals, whole numbers without any."""
    return json.dumps([int(v) if v == int(v) else round(v, 2) for v in box])


def gold_box(gold: str) -> Box | None:
    """The box in a ground truth that `box_json` wrote, or None if that is the text of another answer."""
    try:
        box = parse_box(json.loads(gold))
    except (ValueError, RecursionError):
        return None
    return None if isinstance(box, Reject) else box


def disagree(a: Box, b: Box, tolerance: float) -> bool:
    """Whether any coordinate differs by more than the tolerance, in the boxes' own unit."""
    return any(abs(u - v) > tolerance for u, v in zip(a, b, strict=True))
