"""Boxes in a JSON value: four numbers that can only be one box are that box, whatever the key and the shape.

    [10, 20, 30, 40]   ["10", "20", "30", "40"]   [[10, 20], [30, 40]]   [{"x": 10, "y": 20}, {"x": 30, "y": 40}]
    {"bbox_2d": ...}   {"Position": ...}   {"answer": "[10, 20, 30, 40]"}   {"boxes": [{"bbox_2d": ..., "label": "a"}]}
    {"x1": 10, "y1": 20, "x2": 30, "y2": 40}   {"x": 10, "y": 20, "width": 20, "height": 20}
    {"top_left": [10, 20], "bottom_right": [30, 40]}

Of an object, `bbox_2d` or `bbox` is read alone, if it has one; else its coordinates by name; else the keys with "box"
in their names; else all others. So an object with boxes under several keys has several boxes.
"""

from collections.abc import Iterable, Mapping, Sequence

from reward_fns.boxes import prose_boxes
from reward_fns.boxes.box import NUMBER_TYPES, Box, LabelledBox, box_of, number_of
from reward_fns.boxes.coordinate_names import COORDINATES, box_of_names, corners_of, plain

_KEYS = ("bbox_2d", "bbox")
_CONTAINERS = (list, dict)
_NO_BOX = (
    "label",
    "score",
    "conf",
    "prob",
    "size",
    "shape",
    "color",
    "colour",
)  # in the name of a key whose numbers are no box
_OTHER_ORDER = ("wh", "yxyx")  # ends of keys whose four numbers are no corners in the order x, y, x, y
_BOX_BEGINS = tuple("[({<+-.0123456789")


def boxes_in(value: object, label: str | None = None) -> list[LabelledBox] | None:
    """Return the boxes of a JSON value with their labels, [] for "no object", or None if it has neither.

    Args:
        value: what `json.loads` returns.
        label: the label of the object around the value.

    Raises:
        RecursionError: the value is nested too deeply.
    """
    if isinstance(value, dict):
        return _in_object(value, label)
    if isinstance(value, list):
        return _in_list(value, label)
    if isinstance(value, str):
        boxes = prose_boxes.boxes_in(value)
        return None if boxes is None else [(box, label) for box in boxes]
    return [] if value is None else None


def _in_object(fields: Mapping[str, object], label: str | None) -> list[LabelledBox] | None:
    own_label = fields.get("label", fields.get("Label"))
    if isinstance(own_label, str):
        label = own_label
    for key in _KEYS:
        if key in fields:
            return boxes_in(fields[key], label)
    by_name = {plain(key): value for key, value in fields.items()}
    box = _named_box(by_name)
    if box is not None:
        return [(box, label)]
    readable = {key: value for key, value in by_name.items() if not _means_something_else(key)}
    boxes_by_key = [value for key, value in readable.items() if "box" in key]
    if boxes_by_key:
        return _all_of(boxes_by_key, label)
    others = [boxes_in(value, label) for value in readable.values() if isinstance(value, _CONTAINERS)]
    others += [boxes_in(value, label) for value in readable.values() if _begins_as_box(value)]
    found = [boxes for boxes in others if boxes is not None]
    return [box for boxes in found for box in boxes] if found else None


def _in_list(items: Sequence[object], label: str | None) -> list[LabelledBox] | None:
    if len(items) == 4 and type(items[0]) in NUMBER_TYPES:
        box = box_of(items)
        if box is not None:
            return [(box, label)]
    containers = [item for item in items if isinstance(item, _CONTAINERS)]
    if not containers:
        return _in_flat_list(items, label) if items else []
    box = _between(items)
    if box is not None:
        return [(box, label)]
    if len(containers) < len(items):
        if sum(number_of(item) is not None for item in items) > 1:  # one may be a confidence, more another broken box
            return None
        containers = [item for item in items if isinstance(item, _CONTAINERS) or _begins_as_box(item)]
    return _all_of(containers, label)


def _in_flat_list(items: Sequence[object], label: str | None) -> list[LabelledBox] | None:
    """Return the box of four numbers, some as text, with or without words beside; or the boxes of several texts."""
    numbers = [number for item in items if (number := number_of(item)) is not None]
    if numbers:
        others_are_words = all(isinstance(item, str) for item in items if number_of(item) is None)
        box = box_of(numbers) if others_are_words else None
        return None if box is None else [(box, label)]
    return _all_of((item for item in items if _begins_as_box(item)), label) or None


def _all_of(values: Iterable[object], label: str | None) -> list[LabelledBox] | None:
    boxes = []
    for value in values:
        more = boxes_in(value, label)
        if more is None:
            return None
        boxes += more
    return boxes


def _named_box(by_name: Mapping[str, object]) -> Box | None:
    named = {name: number_of(by_name[name]) for name in COORDINATES & by_name.keys()}
    numbers = {name: number for name, number in named.items() if number is not None}
    if numbers:
        return box_of_names(numbers)
    corners = corners_of(by_name)
    return None if corners is None else _between(corners)


def _between(points: Sequence[object]) -> Box | None:
    """Return the box between two points, each a list of two numbers or an object with `x` and `y`."""
    if len(points) != 2:
        return None
    first, second = map(_point, points)
    return None if first is None or second is None else box_of((*first, *second))


def _point(value: object) -> tuple[float, float] | None:
    if isinstance(value, dict):
        value = [value.get("x"), value.get("y")] if len(value) == 2 else []
    if not isinstance(value, list) or len(value) != 2:
        return None
    x, y = map(number_of, value)
    return None if x is None or y is None else (x, y)


def _means_something_else(name: str) -> bool:
    return name.endswith(_OTHER_ORDER) or any(part in name for part in _NO_BOX)


def _begins_as_box(value: object) -> bool:
    """Return whether a string may be a box that was written as text, instead of words that describe it."""
    return isinstance(value, str) and value.lstrip().startswith(_BOX_BEGINS)
