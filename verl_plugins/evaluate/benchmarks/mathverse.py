"""MathVerse (AI4Math/MathVerse, testmini 3,940, testmini_text_only 788): each problem in six versions.

They go from text-heavy to the image alone.

Rule: the letter of a choice or its value, else equality of expressions. The authors let a language model compare.
"""

from __future__ import annotations

import re
from typing import Any

from data_prep.row.texts import text_of
from data_prep.types import Row
from verl_plugins.evaluate.annotations import DiskLayout
from verl_plugins.evaluate.benchmarks.fields import image_of, letter_of, make_row, score_answer
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow

_HEADING = re.compile(r"^\s*Choices?\s*:", re.MULTILINE | re.IGNORECASE)
_CHOICE = re.compile(r"^[ \t]*([A-J])[ \t]*[:.](.*)$", re.MULTILINE)
_DEGREE = re.compile("掳|Â°|º|˚")  # the first two are "°" in UTF-8, read as GBK and as Latin-1


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row with the authors' own query, which is complete even if the question is only in the image.

    The choices come from the full text of the question, which files of the authors lack. `type` is the version of the
    problem, for the table.
    """
    gold = _repaired(raw["answer"])
    if not gold:
        return UnusableRow("answer_empty")
    images = []
    if text_of(raw["problem_version"]).lower() != "text only":
        image = image_of(raw["image"])
        if isinstance(image, UnusableRow):
            return image
        images = [image]
    choices = _choices(_repaired(raw.get("question_for_eval") or raw["question"]))
    letter = letter_of(gold.strip("() "), choices)
    gold = gold if isinstance(letter, UnusableRow) else letter
    metadata = raw.get("metadata") or {}
    fields = {"id": text_of(raw["sample_index"]), "choices": choices, "subject": text_of(metadata.get("subject"))}
    fields |= {"type": text_of(raw["problem_version"])}
    return make_row("mathverse", number, split, _repaired(raw["query_cot"]), images, gold, **fields)


def _choices(question: str) -> list[str]:
    """Return the choices of a question; none if they do not run A, B, C, ... or one of them is empty."""
    heading = _HEADING.search(question)
    pairs = _CHOICE.findall(question[heading.end() :]) if heading else []
    is_complete = all(value.strip() for _, value in pairs) and "ABCDEFGHIJ".startswith("".join(dict(pairs)))
    return [value.strip() for _, value in pairs] if is_complete else []


def _repaired(text: Any) -> str:
    return _DEGREE.sub("°", text_of(text))


_COLUMNS = frozenset({"sample_index", "problem_version", "question", "image", "answer", "query_cot"})
_LAYOUT = DiskLayout(
    ("testmini.json", "testmini_text_only.json"), _COLUMNS, image="image", column="image", folders=("images",)
)
FORMAT = DataFormat("mathverse", _COLUMNS, read, score_answer, _LAYOUT)
