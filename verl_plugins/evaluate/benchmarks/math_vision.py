"""MATH-Vision (MathLLMs/MathVision, test 3,040, testmini 304): competition problems in 16 subjects and 5 levels.

Rule: the letter of a choice or its value, else equality of expressions.
"""

from __future__ import annotations

from data_prep.row.texts import text_of
from data_prep.types import Row
from verl_plugins.evaluate.annotations import DiskLayout
from verl_plugins.evaluate.benchmarks.fields import (
    image_of,
    in_words,
    letter_of,
    make_row,
    score_answer,
    with_choices,
)
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row; options that are only their own letters are shown in the image, and are answered by letter alone."""
    image = image_of(raw["decoded_image"])
    if isinstance(image, UnusableRow):
        return image
    gold, options = text_of(raw["answer"]), [in_words(text_of(option)) for option in raw["options"] or []]
    if not gold:
        return UnusableRow("answer_empty")
    kind = "choice" if options else "free"
    if options == list("ABCDEFGHIJ")[: len(options)]:
        options = []
    question = with_choices(text_of(raw["question"]), options)
    if options:
        letter = letter_of(gold, options)
        if isinstance(letter, UnusableRow):
            return letter
        gold = letter
    fields = {"id": text_of(raw["id"]), "choices": options, "subject": text_of(raw["subject"])}
    fields |= {"type": f"level {text_of(raw['level'])}, {kind}"}
    return make_row("math_vision", number, split, question, [image], gold, **fields)


_LAYOUT = DiskLayout(
    ("test.jsonl", "testmini.jsonl"),
    frozenset({"id", "question", "options", "image", "answer", "level", "subject"}),
    image="image",
    column="decoded_image",
    folders=("images",),
)
FORMAT = DataFormat(
    "math_vision",
    frozenset({"id", "question", "options", "image", "decoded_image", "answer", "level", "subject"}),
    read,
    score_answer,
    _LAYOUT,
)
