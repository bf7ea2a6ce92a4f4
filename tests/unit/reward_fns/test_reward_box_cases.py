"""Answers whose boxes are easily missed or misread: kinds with answers that are right, and answers that stay wrong.

`cases/boxes.jsonl`: kind, source, gold, answer, iou (by hand: 1 for the gold's box, 0.5 for it and another, 0 for an
answer that cannot be read) and status.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from reward_fns import grounding

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "boxes.jsonl").read_text().splitlines()]
KINDS = {
    "another key",
    "coordinates by name",
    "numbers as text",
    "two points",
    "labels and confidences beside",
    "code fences",
    "misread numbers",
    "no object",
}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_box_is_read_if_it_can_only_be_one(number):
    case = CASES[number]
    for response, form in ((f"<answer>{case['answer']}</answer>", "answer"), (case["answer"], "free")):
        result = grounding.compute_score("shapes", response, case["gold"], form=form)
        assert (result["iou"], result["status"]) == (case["iou"], case["status"]), case["answer"]


def test_every_kind_has_five_answers_that_stay_wrong():
    wrong = Counter(case["kind"] for case in CASES if case["status"] == "bad_format")
    assert {kind for kind in KINDS if wrong[kind] >= 5} == KINDS
