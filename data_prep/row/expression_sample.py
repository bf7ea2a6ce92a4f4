"""Makes the samples whose answers are boxes: of referring expressions, and of questions in other words."""

from __future__ import annotations

import json
from typing import Any

from data_prep.row.texts import text_of, without_tags
from data_prep.types import Box, Location, Rejection, Sample

QUESTION = "Please provide the bounding box coordinate of the region this sentence describes: "


def expression_sample(
    id: str,
    expression: Any,
    box: Box | Rejection,
    image: Location,
    size: tuple[Any, Any] | None = None,
    is_refcoco: bool = False,
) -> Sample | Rejection:
    """Make the sample that asks for the box of the object that an expression refers to.

    Args:
        id: id of the expression.
        expression: as the data set has it; an <image> tag and QUESTION at its beginning are removed.
        box: xyxy in pixels, or why it cannot be read.
        image: location of the image.
        size: width and height of the image in pixels, of any type; None, or None within, if unknown.
        is_refcoco: whether the expression is of RefCOCO, + or g. All its distributions then give the text that refer's
            field `sent` has: in lower case, without a stop at the end.
    """
    text = _described(expression)
    if is_refcoco:
        text = text.lower().rstrip(". ")
    if not text:
        return Rejection("question_empty")
    if isinstance(box, Rejection):
        return box
    width_height = None
    if size is not None and None not in size:
        try:
            width_height = (int(size[0]), int(size[1]))
        except (TypeError, ValueError, OverflowError):
            return Rejection("row_malformed", f"width and height: got {size}"[:200])
    return Sample(id, QUESTION + text, text, (box,), (image,), size=width_height)


def _described(expression: Any) -> str:
    """Return an expression without an <image> tag and QUESTION at its beginning, on one line, without other tags."""
    text = text_of(expression).removeprefix("<image>").strip()
    return " ".join(without_tags(text.removeprefix(QUESTION.strip())).split())


def asked_expression(expression: Any) -> tuple[str, str]:
    """Return the question and the text of an expression, as `expression_sample` has them; "" for no expression."""
    text = _described(expression)
    return (QUESTION + text if text else ""), text


def boxes_sample(
    id: str, question: str, answer: Any, boxes: tuple[Box, ...] | Rejection, images: list[Location], scale: float | None
) -> Sample | Rejection:
    """Make the sample of a question whose answer is any number of boxes on its first image.

    Args:
        id: id of the question.
        question: its text, which may have <image> tags.
        answer: the expression, as for RefCOCO, or the boxes as the data set has them.
        boxes: xyxy, or why they cannot be read.
        images: locations of the images.
        scale: as `Sample.box_scale`.
    """
    if not question.replace("<image>", "").strip():
        return Rejection("question_empty")
    if isinstance(boxes, Rejection):
        return boxes
    written = answer if isinstance(answer, str) else json.dumps(answer)
    return Sample(id, question, written, boxes, tuple(images), box_scale=scale)
