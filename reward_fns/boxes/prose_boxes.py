"""Boxes in text that is not JSON.

    [10, 20, 30, 40]   (10,20),(30,40)   <|box_start|>(10,20),(30,40)<|box_end|>   <box>[[10, 20, 30, 40]]</box>
    <ref>dog</ref><box>(10,20),(30,40)</box>
    x1=10 y1=20 x2=30 y2=40   x: 10, y: 20, w: 20, h: 20   from (10, 20) to (30, 40)   10px 20px 30px 40px

Numbers in brackets are read wherever they stand, several boxes too. Without such brackets the text must have exactly
four numbers, and nothing that gives one of them another meaning: a percent sign, a range (`10-30`), a fraction, another
base (`0x0a`), names that are no corners, words between the x and the y of a point.
"""

import re

from reward_fns.boxes.box import NUMBER, Box, LabelledBox, box_of
from reward_fns.boxes.coordinate_names import COORDINATES, NOT_CORNERS, box_of_names, plain

_BRACKETED = re.compile(
    rf"[\[(]\s*{NUMBER}\s*,\s*{NUMBER}\s*(?:[\])]\s*,\s*[\[(]|,)\s*{NUMBER}\s*,\s*{NUMBER}\s*[\])](?!\s*[%‰％])"
)
_SIZE = re.compile(r"w(?:idth)?\W{0,9}h(?:eight)?\b")  # "xywh", "(x, y, width, height)": no corners
_TAGGED = re.compile(r"(?:<\|box_start\|>|<box>)(.*?)(?:<\|box_end\|>|</box>|\Z)", re.DOTALL)
_LABELLED = re.compile(  # what follows a label, up to the next one
    r"(?:<ref>|<\|object_ref_start\|>)(.{0,200}?)(?:</ref>|<\|object_ref_end\|>)(.*?)(?=<ref>|<\|object_ref_start\|>|\Z)",
    re.DOTALL,
)
_NO_OBJECT = re.compile(
    r"(?:there (?:is|are) )?(?:no(?: such| matching| target)?(?: objects?| targets?| match| box(?:es)?)(?: found)?"
    r"|none|nothing|not (?:found|present|visible))\W*",
    re.IGNORECASE,
)

_TOKEN = re.compile(r"[A-Za-z0-9_.+\-%‰％°²]+")
_NUMBER_TOKEN = re.compile(rf"{NUMBER}(?:px)?\.*")
_CORNER_WORDS = re.compile(
    r"\b(?:(?:top|upper|bottom|lower)[\s_-]?(?:left|right)|(?:left|right)[\s_-]?(?:top|upper|bottom|lower))",
    re.IGNORECASE,
)
_UNIT = re.compile(r"[\s)\]]{0,9}(?:[%‰％]|per ?cent)", re.IGNORECASE)
_RANGE_SIGNS = {"-", "–", "—", "~", "..", "…", "to"}
_OPERATORS = {"*", "/", "×", "^", ":", "+", "÷"}
_PIXELS = {"px", "pixel", "pixels"}
_POINTS = ["x", "y", "x", "y"]


def boxes_in(text: str) -> list[Box] | None:
    """Return the boxes in a text, [] for "no object", or None if it has neither."""
    tagged = _TAGGED.findall(text) if "box" in text else []
    if tagged:
        text = "\n".join(tagged)
    text = text.replace("\N{MINUS SIGN}", "-")
    boxes = bracketed_boxes_in(text)
    if boxes is None or boxes:
        return boxes
    if _NO_OBJECT.fullmatch(text.strip()):
        return []
    box = _only_box(text)
    return None if box is None else [box]


def labelled_boxes_in(text: str) -> list[LabelledBox] | None:
    """Return what `boxes_in` returns, each box with the `<ref>` before it, or with None if there is none."""
    boxes = boxes_in(text)
    if boxes is None:
        return None
    labelled = [(box, label) for label, after in _LABELLED.findall(text) for box in boxes_in(after) or []]
    return labelled if [box for box, _ in labelled] == boxes else [(box, None) for box in boxes]


def bracketed_boxes_in(text: str) -> list[Box] | None:
    """Return the boxes in brackets in a text, or None if one of them is none."""
    matches = _BRACKETED.findall(text)
    boxes = [box for numbers in matches if (box := box_of([float(number) for number in numbers]))]
    is_read = len(boxes) == len(matches) and not (boxes and _SIZE.search(text.lower()))
    return boxes if is_read else None


def _only_box(text: str) -> Box | None:
    """Return the box of the four numbers of a text, in the order x, y, x, y or by their names."""
    text = _CORNER_WORDS.sub(" ", text)
    numbers, names, end = [], [], 0
    are_points = True  # x and y of a point stand beside each other
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token[0].isalpha() or token[0] == "_":
            name = plain(token)
            if name in COORDINATES or name in NOT_CORNERS:
                names.append(name)
            are_points &= len(numbers) in (0, 2, 4) or name in _PIXELS
        elif any(map(str.isdigit, token)):
            number = _NUMBER_TOKEN.fullmatch(token)
            if number is None or len(numbers) == 4 or _UNIT.match(text, match.end()):
                return None
            if numbers and _is_no_list(text[end : match.start()].strip(), between_points=len(numbers) == 2):
                return None
            numbers.append(float(number[1]))
            end = match.end()
    if len(numbers) != 4:
        return None
    if len(names) == 4 and names != _POINTS:
        return box_of_names(dict(zip(names, numbers, strict=True)))
    is_in_order = names == _POINTS or (are_points and not NOT_CORNERS.intersection(names))
    return box_of(numbers) if is_in_order else None


def _is_no_list(gap: str, *, between_points: bool) -> bool:
    """Return whether the text between two numbers makes one value or a range of them; a dash may join two points."""
    return gap in _OPERATORS or (gap in _RANGE_SIGNS and not between_points)
