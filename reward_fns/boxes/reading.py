"""Boxes in the answer of a response and in a gold.

An answer may be JSON (`json_boxes`) or any other text (`prose_boxes`), alone, in a code fence, or JSON in a text. `[]`,
`null` and "no object" are answers too; they say that the image has no such object.
"""

import json
import re

from reward_fns.boxes import json_boxes, prose_boxes
from reward_fns.boxes.box import Box, LabelledBox, area

MAX_BOXES = 64  # of one answer; matching more would take long

_IDLE_COMMA = re.compile(r",(?=\s*[\]}])")
_OPENING = re.compile(r"\{|\[(?=\s*\{)")  # of an object, or a list of objects
_DECODER = json.JSONDecoder()
_MOST_VALUES = 2 * MAX_BOXES  # in one text
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def parse_boxes(text: str) -> list[Box] | None:
    """Return the boxes in the text of an answer, [] for "no object", or None if it has neither.

    The result is also None for more than MAX_BOXES boxes, and for JSON with anything that must be a box and is none.
    """
    boxes = labelled_boxes(text)
    return None if boxes is None else [box for box, _ in boxes]


def labelled_boxes(text: str) -> list[LabelledBox] | None:
    """Return what `parse_boxes` returns, each box with its `label` in JSON or its `<ref>`, or None if it has none."""
    if "```" in text:
        text = _in_fences(text)
    text = text.strip()
    if text.startswith(("[", "{", "n")):
        try:
            return _if_not_too_many(json_boxes.boxes_in(_loads(text)))
        except (ValueError, RecursionError):
            pass
    boxes = _in_objects(text) or prose_boxes.labelled_boxes_in(text)
    return None if boxes is None else _if_not_too_many(boxes)


def parse_gold(text: str) -> list[Box] | None:
    """Return the gold boxes of JSON text, every one with an area; [] only for the text `[]`; None for anything else."""
    boxes = labelled_gold(text)
    return None if boxes is None else [box for box, _ in boxes]


def labelled_gold(text: str) -> list[LabelledBox] | None:
    """Return what `parse_gold` returns, each box with its `label`, or with None if it has no label."""
    try:
        value = json.loads(text)
        boxes = _if_not_too_many(json_boxes.boxes_in(value))
    except (TypeError, ValueError, RecursionError):
        return None
    if boxes is None or any(area(box) <= 0 for box, _ in boxes):
        return None
    return boxes if boxes or value == [] else None


def _in_objects(text: str) -> list[LabelledBox] | None:
    """Return the boxes of the JSON objects in a text, and those in brackets outside of them.

    The result is None if there are no such objects, or one has no box.
    """
    if "'" in text and '"' not in text:
        text = text.replace("'", '"')
    text = _IDLE_COMMA.sub("", text)
    boxes: list[LabelledBox] = []
    others, place = "", 0
    for _ in range(_MOST_VALUES):
        start = _OPENING.search(text, place)
        if not start:
            break
        others += text[place : start.start()]
        try:
            value, place = _DECODER.raw_decode(text, start.start())
            found = json_boxes.boxes_in(value)
        except (ValueError, RecursionError):
            others += start[0]
            place = start.end()
            continue
        if found is None:
            return None
        boxes += found
    outside = prose_boxes.bracketed_boxes_in(others + text[place:]) if boxes else None
    return None if outside is None else [*boxes, *((box, None) for box in outside)]


def _loads(text: str) -> object:
    """Parse JSON, or the text of a Python value that is JSON but for its quotes."""
    try:
        return json.loads(text)
    except ValueError:
        if "'" in text and '"' not in text:
            return json.loads(text.replace("'", '"'))
        raise


def _in_fences(text: str) -> str:
    """Return what stands in the code fences of a text, of which the first or the last mark may be missing."""
    parts = text.split("```")
    if len(parts) == 2:
        before = parts[0].strip().lstrip(_LETTERS).lstrip()
        return before if before.startswith(("[", "{")) else parts[1].lstrip(_LETTERS)
    return "\n".join(part.lstrip(_LETTERS) for part in parts[1::2])


def _if_not_too_many(boxes: list[LabelledBox] | None) -> list[LabelledBox] | None:
    return boxes if boxes is not None and len(boxes) <= MAX_BOXES else None
