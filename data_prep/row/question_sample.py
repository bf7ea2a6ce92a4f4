"""Makes the sample of a maths question, whatever raw form it comes from."""

from __future__ import annotations

from typing import Any

from data_prep.row.texts import checkable_answer, text_of
from data_prep.types import Location, Rejection, Sample


def question_sample(
    id: str, question: Any, answer: Any, images: list[Location], subject: Any = None, choices: Any = None
) -> Sample | Rejection:
    """Make the sample of a question whose answer a rule can check.

    Args:
        id: id of the question.
        question, answer: as the data set has them, of any type.
        images: locations of the images.
        subject: subject of the question, or None.
        choices: list of the choices; anything else counts as none.
    """
    question_text, answer_text = text_of(question), text_of(answer)
    if not question_text.replace("<image>", "").strip():
        return Rejection("question_empty")
    gold = checkable_answer(answer_text)
    if isinstance(gold, Rejection):
        return gold
    choice_texts = tuple(map(text_of, choices)) if isinstance(choices, list) else None
    subject_text = text_of(subject) or None
    return Sample(id, question_text, answer_text, gold, tuple(images), subject=subject_text, choices=choice_texts)
