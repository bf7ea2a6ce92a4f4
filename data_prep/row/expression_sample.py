"""Makes the sample of a referring expression, whatever raw form it comes from."""

from __future__ import annotations

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
    text = text_of(expression).removeprefix("<image>").strip()
    text = " ".join(without_tags(text.removeprefix(QUESTION.strip())).split())
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
    return Sample(id, QUESTION + text, text, box, (image,), width_height)
