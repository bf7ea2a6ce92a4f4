"""We-Math (We-Math/We-Math, testmini 1,740): multiple choice, on composite problems and their steps.

Rule: the letter of a choice or its value, if the options can be told apart. The paper's four-way diagnosis of a
composite problem is not computed.
"""

from __future__ import annotations

import re
from typing import Any

from data_prep.row.texts import text_of
from data_prep.types import Row
from verl_plugins.evaluate.annotations import DiskLayout
from verl_plugins.evaluate.benchmarks.fields import image_of, letter_of, make_row, score_answer, with_choices
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow

_OPTION = re.compile(r"(?:^|[;\n])\s*([A-J])\s*[.:)．]\s*")


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row: `option` is one text, "A. 3; B. 5; ..."; it is shown as it is, and answered by letter, if it is not.

    A problem and its steps share the `ID`; `key` tells them apart.
    """
    image = image_of(raw["image_path"])
    if isinstance(image, UnusableRow):
        return image
    choices = options_of(raw["option"])
    gold, question = text_of(raw["answer"]), text_of(raw["question"])
    if choices:
        letter = letter_of(gold, choices)
        if isinstance(letter, UnusableRow):
            return letter
        gold, question = letter, with_choices(question, choices)
    else:
        question = f"{question}\n{text_of(raw['option'])}"
    key = text_of(raw.get("key"))
    fields = {"id": "/".join(filter(None, (text_of(raw["ID"]), key))), "choices": choices, "type": key}
    fields |= {"subject": text_of(raw.get("knowledge concept"))}
    return make_row("we_math", number, split, question, [image], gold, **fields)


def options_of(text: Any) -> list[str]:
    """Return the options in one text, "A. 3; B. 5"; none if they do not run A, B, C, ..."""
    letters_and_values = _OPTION.split(text_of(text))[1:]
    options = [value.strip(" ;\n") for value in letters_and_values[1::2]]
    return options if len(options) > 1 and letters_and_values[::2] == list("ABCDEFGHIJ")[: len(options)] else []


_COLUMNS = frozenset({"ID", "question", "option", "answer", "image_path"})
_LAYOUT = DiskLayout(
    ("testmini.json",), _COLUMNS, image="image_path", column="image_path", folders=("2steps", "3steps", "images")
)
FORMAT = DataFormat("we_math", _COLUMNS, read, score_answer, _LAYOUT)
