"""What all forms of maths questions share: from a question and an answer, as given, to a sample."""

from __future__ import annotations

from typing import Any

from data_prep.sample import Location, Reject, Sample
from data_prep.texts import checkable_answer, text_of


def question_sample(id: str, question: Any, answer: Any, images: list[Location]) -> Sample | Reject:
    """The sample of a question whose answer a rule can check."""
    asked, given = text_of(question), text_of(answer)
    if not asked.replace("<image>", "").strip():
        return Reject("question_empty")
    gold = checkable_answer(given)
    return gold if isinstance(gold, Reject) else Sample(id, asked, given, gold, tuple(images))
