"""Reads boxes as data sets write them, and converts them to xyxy in pixels of the original image."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from data_prep.types import Box, Rejection

EDGE_TOLERANCE = 5  # pixels; annotators draw a little past the edge, but boxes in other units reach further
_LIST = re.compile(r"\[[^\[\]]*\]")


def parse_box(value: Any) -> Box | Rejection:
    """Read a box from a list of four finite numbers, a list of one such list, or a text with one such list in it."""
    if isinstance(value, str):
        lists = _LIST.findall(value)
        if len(lists) != 1:
            return Rejection("box_malformed", f"got {value[:80]!r}, expected one list of four numbers")
        try:
            value = json.loads(lists[0])
        except (ValueError, RecursionError):
            return Rejection("box_malformed", f"got {lists[0][:80]!r}, expected a JSON list of four numbers")
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    try:
        is_number = [isinstance(v, int | float) and not isinstance(v, bool) for v in value]
        if is_number == [True] * 4 and all(math.isfinite(v) for v in value):
            x1, y1, x2, y2 = (float(v) for v in value)
            return x1, y1, x2, y2
    except (TypeError, OverflowError):
        pass
    return Rejection("box_malformed", f"got {str(value)[:80]}, expected four finite numbers")


def parse_boxes(value: Any, box_format: str) -> tuple[Box, ...] | Rejection:
    """Read one box or a list of boxes, or JSON text of either, as xyxy in their own unit; `[]` is no box.

    Args:
        value: as a row has it.
        box_format: "xyxy" or "xywh".
    """
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):  # any other text may have one list in it, as `parse_box` reads it
            value = json.loads(value)
    is_list_of_boxes = isinstance(value, list) and all(isinstance(item, list) for item in value)
    boxes = []
    for item in value if is_list_of_boxes else [value]:
        box = parse_box(item)
        if isinstance(box, Rejection):
            return box
        boxes.append(xyxy_from_xywh(box) if box_format == "xywh" else box)
    return tuple(boxes)


def xyxy_from_xywh(box: Box) -> Box:
    """Convert a corner, a width and a height to two corners."""
    x, y, width, height = box
    return x, y, x + width, y + height


def fit_to_image(box: Box, width: int, height: int) -> Box | Rejection:
    """Put the corners of a box in order and cut it off at the edges of the image.

    Args:
        box: xyxy in pixels; its corners may be swapped, and it may reach EDGE_TOLERANCE pixels past an edge.
        width, height: size of the original image in pixels.
    """
    shown = f"box {[round(v, 2) for v in box]} in an image of {width} x {height}"
    x1, x2 = sorted((box[0], box[2]))
    y1, y2 = sorted((box[1], box[3]))
    if x1 == x2 or y1 == y2:
        return Rejection("box_without_area", shown)
    if x1 >= 0 and y1 >= 0 and x2 <= 1 and y2 <= 1:
        return Rejection("box_not_in_pixels", shown)
    if min(x1, y1) < -EDGE_TOLERANCE or x2 > width + EDGE_TOLERANCE or y2 > height + EDGE_TOLERANCE:
        return Rejection("box_outside_image", shown)
    x1, x2 = max(0.0, round(x1, 2)), min(float(width), round(x2, 2))
    y1, y2 = max(0.0, round(y1, 2)), min(float(height), round(y2, 2))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else Rejection("box_without_area", shown)


def box_json(box: Box) -> str:
    """Return the JSON text of a box, with at most two decimals, and none for whole numbers."""
    return json.dumps([int(v) if v == int(v) else round(v, 2) for v in box])


def boxes_json(boxes: Sequence[Box]) -> str:
    """Return the ground truth of boxes: `box_json` of the only one, or a JSON list of any other number."""
    return box_json(boxes[0]) if len(boxes) == 1 else f"[{', '.join(map(box_json, boxes))}]"


def gold_boxes(gold: str) -> tuple[Box, ...] | None:
    """Return the boxes of a ground truth, or None if the ground truth is a text."""
    try:
        value = json.loads(gold)
    except (ValueError, RecursionError):
        return None
    boxes = parse_boxes(value, "xyxy") if isinstance(value, list) else Rejection("box_malformed")
    return None if isinstance(boxes, Rejection) else boxes


def disagree(a: Box, b: Box, tolerance: float) -> bool:
    """Return whether any coordinate differs by more than `tolerance`, in the unit of the boxes."""
    return any(abs(u - v) > tolerance for u, v in zip(a, b, strict=True))
