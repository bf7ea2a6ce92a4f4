"""Responses in which the place of the answer decides: each kind has rows that are right, and five that stay wrong."""

import json
from collections import Counter
from pathlib import Path

import pytest

from reward_fns import math

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "forms.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['form']}: {case['response'][:60]}")
def test_what_a_response_earns(case):
    result = math.compute_score("any", case["response"], case["gold"], form=case["form"], timeout_s=60.0)
    assert (result["accuracy"], result["format"]) == (case["accuracy"], case["format"])


def test_every_kind_has_right_rows_and_five_that_stay_wrong():
    right = Counter(case["kind"] for case in CASES if case["accuracy"])
    wrong = Counter(case["kind"] for case in CASES if not case["accuracy"])
    assert set(right) == set(wrong)
    assert min(wrong.values()) >= 5
