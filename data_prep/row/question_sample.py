"""What all forms of maths questions share: from a question and an answer, as given, to a sample."""

from __future__ import annotations

from typing import Any

from data_prep.row.texts import checkable_answer, text_of
from data_prep.types import Location, Reject, Sample


def question_sample(
    id: str, question: Any, answer: Any, images: list[Location], subject: Any = None, choices: Any = None
) -> Sample | Reject:
    """The sample of a question whose answer a rule can check."""
    asked, given = text_of(question), text_of(answer)
    if not asked.replace("<image>", "").strip():
        return Reject("question_empty")
    gold = checkable_answer(given)
    if isinstance(gold, Reject):
        return gold
    listed = tuple(map(text_of, choices)) if isinstance(choices, list) else None
    return Sample(id, asked, given, gold, tuple(images), subject=text_of(subject) or None, choices=listed)
