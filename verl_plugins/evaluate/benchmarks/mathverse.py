"""MathVerse (AI4Math/MathVerse, testmini 3,940): each problem in six versions, from text-heavy to the image alone.

Rule: the letter of a choice or its value, else equality of expressions. The authors let a language model compare.
"""

from __future__ import annotations

import re

from data_prep.row.texts import text_of
from data_prep.types import Row
from verl_plugins.evaluate.benchmarks.fields import image_of, make_row, score_answer
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow

_CHOICE = re.compile(r"^\s*([A-J])\s*[:.]\s*(.+?)\s*$", re.MULTILINE)


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row with the authors' own query, which is complete even if the question is only in the image.

    The choices come from the full text of the question. `type` is the version of the problem, for the table.
    """
    gold = text_of(raw["answer"])
    if not gold:
        return UnusableRow("answer_empty")
    images = []
    if text_of(raw["problem_version"]).lower() != "text only":
        image = image_of(raw["image"])
        if isinstance(image, UnusableRow):
            return image
        images = [image]
    _, heading, listed = text_of(raw["question_for_eval"]).partition("Choices:")
    choices = [value for _, value in _CHOICE.findall(listed)] if heading else []
    metadata = raw.get("metadata") or {}
    fields = {"id": text_of(raw["sample_index"]), "choices": choices, "subject": text_of(metadata.get("subject"))}
    fields |= {"type": text_of(raw["problem_version"])}
    return make_row("mathverse", number, split, text_of(raw["query_cot"]), images, gold, **fields)


FORMAT = DataFormat(
    "mathverse",
    frozenset({"sample_index", "problem_version", "image", "answer", "query_cot", "question_for_eval"}),
    read,
    score_answer,
)
