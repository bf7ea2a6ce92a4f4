"""Pairs of gold and answer on which this or another grader was reported to be wrong."""

import json
from pathlib import Path

import pytest

from reward_fns import algebra, math
from reward_fns.answers import symbolic

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "math.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number]['kind']}-{number}")
def test_reported_answers(number, monkeypatch):
    monkeypatch.setattr(algebra, "compare", lambda gold, answer, *_: (symbolic.compare(gold, answer), 0.0))
    case = CASES[number]
    response = f"<think>so</think><answer>{case['answer']}</answer>"
    result = math.compute_score("any", response, case["gold"], {"choices": case.get("choices")}, preset="mm_eureka")
    assert result["accuracy"] == case["right"]
    assert result["status"] == case.get("status", "ok")
