"""MathVista (AI4Math/MathVista, testmini 1,000): choices and free answers, numbers with a precision per row.

Rule, as in the authors' `calculate_score.py`: a choice by its letter or value; an integer without its decimals; a float
rounded to the row's `precision`; a list number by number; text as text. Deviation: the authors let a language model
extract the answer and take the choice nearest in spelling; here the answer is read where the prompt asks for it, and a
choice must match exactly.
"""

from __future__ import annotations

import json
import re
from typing import Any

from data_prep.row.texts import text_of
from data_prep.types import Row
from reward_fns.answers.text import clean
from reward_fns.forms import last_of_any
from verl_plugins.evaluate.benchmarks.fields import image_of, letter_of, make_row, result, score_answer
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?")
_LONGEST = 200  # characters of an answer that is one number


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row with the authors' own query, which has a hint and the choices, and the first image."""
    image = image_of(raw["decoded_image"])
    if isinstance(image, UnusableRow):
        return image
    gold, choices = text_of(raw["answer"]), [text_of(choice) for choice in raw["choices"] or []]
    if not gold:
        return UnusableRow("answer_empty")
    if choices:
        letter = letter_of(gold, choices)
        if isinstance(letter, UnusableRow):
            return letter
        gold = letter
    metadata = raw.get("metadata") or {}
    fields: dict[str, Any] = {"id": text_of(raw["pid"]), "choices": choices, "precision": raw.get("precision")}
    fields |= {"type": text_of(raw["question_type"]), "answer_type": text_of(raw["answer_type"])}
    fields |= {"subject": text_of(metadata.get("task"))}
    return make_row("mathvista", number, split, text_of(raw["query"]), [image], gold, **fields)


def score(response: str, row: Row) -> dict:
    """Score a response by the type of the answer."""
    info, gold = row["extra_info"], row["reward_model"]["ground_truth"]
    if info["choices"] or info["answer_type"] not in ("integer", "float", "list"):
        return score_answer(response, row)
    answer = last_of_any(response)
    if answer is None:
        return result("no_answer")
    true_values, values = _numbers(gold, info["answer_type"]), _numbers(answer, info["answer_type"])
    if true_values is None:
        return result("bad_gold")
    if values is None:
        return result("bad_format")
    if info["answer_type"] == "integer":
        return result("ok", [int(value) for value in values] == [int(value) for value in true_values])
    if info["answer_type"] == "float":
        digits = int(info["precision"] or 0)
        return result(
            "ok", [round(value, digits) for value in values] == [round(value, digits) for value in true_values]
        )
    return result("ok", values == true_values)


def _numbers(text: str, answer_type: str) -> list[float] | None:
    """Return the only number of a text, or the numbers of a list; None if it is neither."""
    if answer_type == "list":
        try:
            value = json.loads(text.strip())
            return [float(item) for item in value]
        except (ValueError, TypeError, RecursionError):
            return None
    numbers = _NUMBER.findall(clean(text)) if len(text) <= _LONGEST else []
    return [float(numbers[0])] if len(numbers) == 1 and abs(float(numbers[0])) < 1e15 else None


FORMAT = DataFormat(
    "mathvista",
    frozenset({"pid", "question", "decoded_image", "choices", "answer", "question_type", "answer_type", "query"}),
    read,
    score,
)
