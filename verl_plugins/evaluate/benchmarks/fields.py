"""Helpers of the benchmarks' readers: images and choices of raw rows, evaluation rows, and the rule for answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from data_prep.row.images import EncodedImage, decode
from data_prep.row.prompts import TEMPLATES
from data_prep.row.texts import without_tags
from data_prep.types import Rejection as Unusable
from data_prep.types import Row
from reward_fns import math
from verl_plugins.evaluate.format import UnusableRow

_TAG = re.compile(r"<image[ _]?(\d{0,3})>")
_LETTERS = "ABCDEFGHIJ"


def image_of(value: Any) -> EncodedImage | UnusableRow:
    """Return the image in the value of an image column."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        return UnusableRow("image_missing", f"got {str(value)[:80]}, expected the bytes of an image")
    picture = decode(data)
    return UnusableRow(picture.reason, picture.detail) if isinstance(picture, Unusable) else picture


def with_choices(question: str, choices: Sequence[str]) -> str:
    """Append the choices to a question, one per line: "(A) 3"."""
    lines = [f"({letter}) {choice}" for letter, choice in zip(_LETTERS, choices, strict=False)]
    return "\n".join([question, "Choices:", *lines]) if lines else question


def in_words(text: str) -> str:
    """Replace the tags of numbered images by words: `<image2>` becomes "image 2", a tag without a number nothing."""
    return _TAG.sub(lambda tag: f"image {tag[1]}" if tag[1] else "", text)


def letter_of(answer: str, choices: Sequence[str]) -> str | UnusableRow:
    """Return the letter of the choice that is the answer, which is given as a letter or as a value."""
    if answer in choices:
        return _LETTERS[choices.index(answer)]
    if len(answer) == 1 and answer.upper() in _LETTERS[: len(choices)]:
        return answer.upper()
    return UnusableRow("answer_is_no_choice", f"got {answer[:80]!r} and the choices {list(choices)}"[:200])


def make_row(
    name: str, number: int, split: str, question: str, images: Sequence[EncodedImage], gold: str, **extra_info: Any
) -> Row:
    """Make an evaluation row: the question in the prompt that asks for a boxed answer, with its images at their tags.

    Args:
        name: name of the benchmark, the row's `data_source`.
        number: number of the row in its file.
        split: split of the file.
        question: the question, with tags `<image>` or `<image1>` for its images. An image stands where its tag is
            first; images without a tag come first. A later mention, and a tag of an image beyond `images`, become
            words: the one image of MATH-Vision shows "image 1" and "image 2".
        images: the images.
        gold: the correct answer.
        **extra_info: `id`, `subject`, `type`, `choices`, and whatever the benchmark's rule reads.
    """
    return {
        "data_source": name,
        "prompt": TEMPLATES["boxed"]["math"].messages(_place_tags(question, len(images))),
        "images": [{"bytes": image.data, "path": None} for image in images],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {
            "split": split,
            "index": number,
            "question": _place_tags(question, len(images)).replace("<image>", "").strip(),
            "answer": gold,
            "orig_w": images[0].width if images else None,
            "orig_h": images[0].height if images else None,
            "image_sha256": " ".join(image.sha256 for image in images),
            **extra_info,
        },
    }


def score_answer(response: str, row: Row) -> dict:
    """Score a letter, a value or an expression anywhere in the response (form `free` of `reward_fns.forms`)."""
    return math.compute_score(
        row["data_source"],
        response,
        row["reward_model"]["ground_truth"],
        row["extra_info"],
        form="free",
        accuracy_weight=1.0,
        format_weight=0.0,
    )


def result(status: str, is_right: bool = False) -> dict:
    """Return the keys of a reward, for a rule that does not score the form."""
    return {"score": float(is_right), "accuracy": float(is_right), "format": 1.0, "status": status}


def _place_tags(text: str, images: int) -> str:
    """Return the text with exactly `images` tags `<image>`, missing ones in front.

    Verl's tags of other media are broken up.
    """
    parts, start, seen = [], 0, set()
    for tag in _TAG.finditer(text):
        if len(parts) < images and (not tag[1] or tag[1] not in seen):
            parts.append(text[start : tag.start()])
            start = tag.end()
            seen.add(tag[1])
    parts.append(text[start:])
    return "<image>" * (images - len(parts) + 1) + "<image>".join(without_tags(in_words(part)) for part in parts)
