"""HallusionBench (lmms-lab/HallusionBench, image 951, non_image 178): yes-or-no questions on figures and variants.

Three accuracies, as in the authors' `utils.py`: aAcc is the share of correct answers; qAcc the share of questions that
were answered correctly on every figure; fAcc the share of figures on which every question was answered correctly
(without the questions of category VS that have no figure).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from data_prep.row.texts import text_of
from data_prep.types import Row
from reward_fns.forms import last_of_any
from verl_plugins.evaluate.annotations import DiskLayout
from verl_plugins.evaluate.benchmarks.fields import image_of, make_row, result
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow

NAME = "hallusion_bench"
PLACE = ("category", "subcategory", "set_id", "figure_id", "question_id")

_WORDS = re.compile(r"\b(yes|no)\b")


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row; one with `visual_input` 0 has no image."""
    if text_of(raw["gt_answer"]) not in ("0", "1"):
        return UnusableRow("answer_not_0_or_1", f"got {raw['gt_answer']!r}")
    images = []
    if text_of(raw["visual_input"]) != "0":
        image = image_of(raw.get("image"))
        if isinstance(image, UnusableRow):
            return image
        images = [image]
    place = {key: text_of(raw[key]) for key in PLACE}
    gold = "yes" if text_of(raw["gt_answer"]) == "1" else "no"
    question = f"{text_of(raw['question'])} Answer yes or no."
    fields = {"id": "/".join(place.values()), "subject": place["subcategory"], "type": place["category"], **place}
    return make_row(NAME, number, split, question, images, gold, **fields)


def score(response: str, row: Row) -> dict:
    """Score the word yes or no in the answer; of both, the one that the answer begins with."""
    answer = (last_of_any(response) or "").strip().lower()
    words = _WORDS.findall(answer)
    if not words:
        return result("no_answer")
    begins_with_word = _WORDS.match(answer)
    if len(set(words)) > 1 and not begins_with_word:
        return result("bad_format")
    return result("ok", words[0] == row["reward_model"]["ground_truth"])


def consistent(results: Iterable[Mapping[str, Any]]) -> dict[str, list[bool]]:
    """Tell for each question (`qAcc`) and each figure (`fAcc`) whether all its answers were correct.

    Args:
        results: lines with `accuracy`, and with `id` as `read` makes it.
    """
    questions, figures = defaultdict(list), defaultdict(list)
    for line in results:
        category, subcategory, set_id, figure, question = line["id"].split("/")
        is_right = line["accuracy"] == 1.0
        questions[category, subcategory, set_id, question].append(is_right)
        if (category, figure) != ("VS", "0"):
            figures[category, subcategory, set_id, figure].append(is_right)
    return {"qAcc": [all(each) for each in questions.values()], "fAcc": [all(each) for each in figures.values()]}


_COLUMNS = frozenset({*PLACE, "visual_input", "question", "gt_answer"})
_LAYOUT = DiskLayout(
    ("HallusionBench.json",),
    _COLUMNS | {"filename"},
    image="filename",
    column="image",
    folders=("hallusion_bench", "VD", "VS"),
)
FORMAT = DataFormat(NAME, _COLUMNS, read, score, _LAYOUT)
