"""What all forms of referring expressions share: the question, and the sample of one expression and one box."""

from __future__ import annotations

import re
from typing import Any

from data_prep.row.texts import text_of, without_tags
from data_prep.types import Box, Location, Reject, Sample

QUESTION = "Please provide the bounding box coordinate of the region this sentence describes: "
_COCO_FILE = re.compile(r"(COCO_\w+?_\d{12})(?:_\d+)?\.jpg$")


def coco_file(name: Any) -> str:
    """The image's file in the name of a COCO image, or of a region of one ("COCO_train2014_000000581857_16.jpg").

    COCO's names are unique: folders before them, which every distribution calls otherwise, are left out. Any other
    name is returned as it is.
    """
    match = _COCO_FILE.search(text_of(name))
    return f"{match[1]}.jpg" if match else text_of(name)


def expression_sample(
    id: str, expression: Any, box: Box | Reject, image: Location, size: tuple[Any, Any] | None = None
) -> Sample | Reject:
    """The sample that asks for the box (xyxy, pixels) of what an expression refers to."""
    text = text_of(expression).removeprefix("<image>").strip()
    text = without_tags(text.removeprefix(QUESTION.strip()).strip())
    if not text:
        return Reject("question_empty")
    if isinstance(box, Reject):
        return box
    width_height = None
    if size is not None and None not in size:
        try:
            width_height = (int(size[0]), int(size[1]))
        except (TypeError, ValueError, OverflowError):
            return Reject("row_malformed", f"width and height: got {size}"[:200])
    return Sample(id, QUESTION + text, text, box, (image,), width_height)
