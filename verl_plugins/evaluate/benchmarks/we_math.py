"""We-Math (We-Math/We-Math, testmini 1,740): multiple choice, on composite problems and their steps.

Rule: the letter of a choice or its value. The paper's four-way diagnosis of a composite problem is not computed.
"""

from __future__ import annotations

import re

from data_prep.row.texts import text_of
from data_prep.types import Row
from verl_plugins.evaluate.benchmarks.fields import image_of, letter_of, make_row, score_answer, with_choices
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow

_OPTION = re.compile(r"(?:^|[;\n])\s*([A-J])\s*[.:)]\s*")


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row: `option` is one text, "A. 3; B. 5; ..."; `type` is the problem's `key`, if it has one."""
    image = image_of(raw["image_path"])
    if isinstance(image, UnusableRow):
        return image
    letters_and_values = _OPTION.split(text_of(raw["option"]))[1:]
    choices = [value.strip(" ;\n") for value in letters_and_values[1::2]]
    if letters_and_values[::2] != list("ABCDEFGHIJ")[: len(choices)] or len(choices) < 2:
        return UnusableRow("options_unreadable", text_of(raw["option"])[:200])
    letter = letter_of(text_of(raw["answer"]), choices)
    if isinstance(letter, UnusableRow):
        return letter
    question = with_choices(text_of(raw["question"]), choices)
    fields = {"id": text_of(raw["ID"]), "choices": choices, "type": text_of(raw.get("key"))}
    fields |= {"subject": text_of(raw.get("knowledge concept"))}
    return make_row("we_math", number, split, question, [image], letter, **fields)


FORMAT = DataFormat("we_math", frozenset({"ID", "question", "option", "answer", "image_path"}), read, score_answer)
