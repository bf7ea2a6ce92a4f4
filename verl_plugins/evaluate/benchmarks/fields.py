"""What the readers share: texts, choices and images of raw rows, the row they become, and the rule for an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from data_prep.images import Picture, decode
from data_prep.prompts import fill, template_text
from data_prep.sample import Reject as Unusable
from data_prep.schema import Row
from data_prep.texts import without_tags
from reward_fns import math
from verl_plugins.evaluate.format import UnusableRow

_TAG = re.compile(r"<image[ _]?\d{0,3}>")
_LETTERS = "ABCDEFGHIJ"


def image_of(value: Any) -> Picture | UnusableRow:
    """The picture in an image column's value."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        return UnusableRow("image_missing", f"got {str(value)[:80]}, expected the bytes of an image")
    picture = decode(data)
    return UnusableRow(picture.reason, picture.detail) if isinstance(picture, Unusable) else picture


def with_choices(question: str, choices: Sequence[str]) -> str:
    """The question with its choices below it, one a line: "(A) 3"."""
    lines = [f"({letter}) {choice}" for letter, choice in zip(_LETTERS, choices, strict=False)]
    return "\n".join([question, "Choices:", *lines]) if lines else question


def letter_of(answer: str, choices: Sequence[str]) -> str | UnusableRow:
    """The letter of the choice that is the answer, which may be given as either."""
    if answer in choices:
        return _LETTERS[choices.index(answer)]
    if len(answer) == 1 and answer.upper() in _LETTERS[: len(choices)]:
        return answer.upper()
    return UnusableRow("answer_is_no_choice", f"got {answer[:80]!r} and the choices {list(choices)}"[:200])


def make_row(
    name: str, number: int, split: str, question: str, images: Sequence[Picture], gold: str, **extra_info: Any
) -> Row:
    """An evaluation row: `question` in the prompt that asks for a boxed answer, its images where its tags are.

    Args:
        name: the benchmark's, its `data_source`.
        number, split: of the row in its file.
        question: may mention images as `<image>` or `<image1>`; without a mention they come first.
        images: its pictures.
        gold: the right answer.
        **extra_info: `id`, `subject`, `type`, `choices`, and what the benchmark's rule reads.
    """
    asked = fill(template_text("boxed", "math"), _place_tags(question, len(images)))
    return {
        "data_source": name,
        "prompt": [{"role": "user", "content": asked}],
        "images": [{"bytes": image.data, "path": None} for image in images],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {
            "split": split,
            "index": number,
            "question": _TAG.sub("", question).strip(),
            "answer": gold,
            "orig_w": images[0].width if images else None,
            "orig_h": images[0].height if images else None,
            "image_sha256": " ".join(image.sha256 for image in images),
            **extra_info,
        },
    }


def score_answer(response: str, row: Row) -> dict:
    """A letter, a value or an expression, wherever it stands: `reward_fns.forms`, form `free`."""
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
    """The keys of a reward, for a rule that gives nothing for the form."""
    return {"score": float(is_right), "accuracy": float(is_right), "format": 1.0, "status": status}


def _place_tags(text: str, images: int) -> str:
    """The text with exactly `images` tags: the first mentions stand, missing ones go first, verl's other tags break."""
    parts = [without_tags(part) for part in _TAG.split(text)]
    kept = min(images, len(parts) - 1)
    head = "<image>" * (images - kept)
    return head + "<image>".join(parts[:kept]) + ("<image>" if kept else "") + "".join(parts[kept:])
