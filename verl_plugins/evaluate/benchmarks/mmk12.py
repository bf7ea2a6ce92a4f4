"""MMK12 as it comes from the Hub: the rows that `python -m data_prep mmk12` writes, and the subject beside them.

Scored by the reward of training.
"""

from __future__ import annotations

from data_prep.schema import Row
from verl_plugins.evaluate.benchmarks.fields import image_of, make_row, text_of
from verl_plugins.evaluate.formats import Format, Raw, Reject


def read(raw: Raw, number: int, split: str) -> Row | Reject:
    """The question as it is; the image first, unless the question says where."""
    gold = text_of(raw["answer"])
    if not gold:
        return Reject("answer_empty")
    image = image_of(raw["image"])
    if isinstance(image, Reject):
        return image
    fields = {"id": text_of(raw["id"]), "subject": text_of(raw["subject"])}
    return make_row("mmk12", number, split, text_of(raw["question"]), [image], gold, **fields)


FORMAT = Format("mmk12", frozenset({"id", "question", "answer", "subject", "image"}), read)
