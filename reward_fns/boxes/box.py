"""The box, and the numbers of which one is made."""

import re
from collections.abc import Sequence

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 with x1 <= x2 and y1 <= y2
LabelledBox = tuple[Box, str | None]  # a box, and the text that says what it shows

NUMBER = r"([-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?)"  # pattern with one group
NUMBER_TYPES = (int, float)  # types of JSON numbers, which exclude bool

_MAX_COORDINATE = 1e7  # larger than any image, small enough that areas stay finite
_NUMBER_AS_TEXT = re.compile(rf"{NUMBER}\s?(?:px)?")


def box_of(numbers: Sequence[object]) -> Box | None:
    """Return the box between two opposite corners x, y, x, y; None for anything but four numbers of a usable size."""
    if len(numbers) != 4:
        return None
    for number in numbers:
        if type(number) not in NUMBER_TYPES or not -_MAX_COORDINATE <= number <= _MAX_COORDINATE:  # pyright: ignore
            return None
    x1, y1, x2, y2 = map(float, numbers)  # pyright: ignore[reportArgumentType]
    return (x1 if x1 < x2 else x2), (y1 if y1 < y2 else y2), (x2 if x1 < x2 else x1), (y2 if y1 < y2 else y1)


def number_of(value: object) -> int | float | None:
    """Return a JSON number, or the number that a JSON string consists of, such as "10" or "10px"; else None."""
    if type(value) in NUMBER_TYPES:
        return value  # pyright: ignore[reportReturnType]
    match = _NUMBER_AS_TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) if match else None


def area(box: Box) -> float:
    """Return the area of a box, in square units of its space."""
    return (box[2] - box[0]) * (box[3] - box[1])


def scale(box: Box, x_factor: float, y_factor: float) -> Box:
    """Multiply the x coordinates of a box by one factor and its y coordinates by another."""
    return box[0] * x_factor, box[1] * y_factor, box[2] * x_factor, box[3] * y_factor
