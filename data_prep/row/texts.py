"""Cleans texts of raw rows: image tags, answers that a rule can check, and fields of the wrong type."""

from __future__ import annotations

import json
import re
from typing import Any

from data_prep.types import Rejection

MAX_ANSWER = 200  # characters; anything longer is a solution, not an answer
_TAG = "<image>"
_NUMBERED = re.compile(r"<image[ _]?(\d{1,3})>")
_RESERVED = re.compile(r"<(image|video|audio)>")
_PARTS = re.compile(r"\(1\).*\(2\)|（1）.*（2）|①.*②", re.DOTALL)
_STOPS = ".。．"


def text_of(value: Any) -> str:
    """Return a scalar, or the only element of a list, as stripped text; None, other lists and dicts become "".

    Characters that UTF-8 cannot encode become "?".
    """
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    text = "" if value is None or isinstance(value, list | tuple | dict) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def from_json(value: Any) -> Any:
    """Decode a text that holds JSON, or JSON text within JSON; return anything but text as it is.

    Raises:
        ValueError: the text is not JSON.
    """
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except RecursionError as error:
            raise ValueError("JSON nested too deeply") from error
    return value


def without_tags(text: str) -> str:
    """Break up `<image>`, `<video>` and `<audio>`, which verl would take for media."""
    return _RESERVED.sub(r"< \1>", text)


def place_tags(text: str, images: int) -> str | Rejection:
    """Return the text with one `<image>` tag for each image, and no other tag that verl would take for media.

    `<image>` tags of the text keep their places. If it has none, `<image1>`, `<image2>`, ... become tags where they
    first appear in order; a repeated one becomes the words "image 1". If there are no tags at all, the images go first.

    Args:
        text: the question.
        images: number of images.
    """
    parts = text.split(_TAG)
    if len(parts) == 1:
        parts = _split_at_numbers(text)
    if len(parts) == 1:
        parts = [""] * images + parts
    if len(parts) - 1 != images:
        return Rejection("image_tags", f"got {len(parts) - 1} tags and {images} images")
    return _TAG.join(without_tags(_NUMBERED.sub(r"image \1", part)) for part in parts)


def _split_at_numbers(text: str) -> list[str]:
    parts, start, seen = [], 0, 0
    for match in _NUMBERED.finditer(text):
        if int(match[1]) == seen + 1:
            parts.append(text[start : match.start()])
            start, seen = match.end(), seen + 1
    return [*parts, text[start:]]


def checkable_answer(answer: str) -> str | Rejection:
    r"""Return the answer without `$`, `\boxed{}` and a full stop at the end, so that a rule can compare it.

    Several answers in one and whole solutions are rejected, because no rule would ever find a response right.
    """
    bare = before = answer.strip()
    while True:
        bare = _unwrapped(bare.rstrip(_STOPS + " \n"))
        if bare == before:
            break
        before = bare
    if not bare:
        return Rejection("answer_empty", answer[:80])
    if _PARTS.search(bare):
        return Rejection("answer_in_parts", bare[:80])
    if len(bare) > MAX_ANSWER or "\n\n" in bare:
        return Rejection("answer_too_long", bare[:80])
    return bare


def _unwrapped(text: str) -> str:
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), (r"\boxed{", "}")):
        if text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing):
            inner = text[len(opening) : len(text) - len(closing)]
            if _is_balanced(inner) if closing == "}" else closing not in inner:
                return inner.strip()
    return text


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def choice_text(choices: list[Any], letter: str) -> str | Rejection:
    """Return the text of the choice that a letter names."""
    position = ord(letter.upper()) - ord("A") if len(letter) == 1 else -1
    if not 0 <= position < len(choices):
        return Rejection("choice_out_of_range", f"got {letter[:20]!r} and {len(choices)} choices")
    return text_of(choices[position])
