"""docs/rewards.md: what its table says of this package's reward is what the reward gives."""

import re
from pathlib import Path

import pytest

from reward_fns import math

PAGE = Path(__file__).parents[3] / "docs" / "rewards.md"


def probes():
    """Return (name, response, gold, choices, EasyR1's score, ours) of each row."""
    section = PAGE.read_text().partition("## VEPO's reward and ours")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    cases = []
    for name, response, gold, theirs, ours in rows:
        answer, _, choices = gold.strip(" `").partition(" of ")
        scores = (float(text.strip(" *")) for text in (theirs, ours))
        cases.append((name.strip(), response.strip(" `"), answer, choices.split(", ") if choices else None, *scores))
    return cases


@pytest.mark.parametrize(("name", "response", "gold", "choices", "theirs", "ours"), probes())
def test_our_column_is_what_the_reward_gives(name, response, gold, choices, theirs, ours):
    score = math.compute_score("any", response, gold, {"choices": choices} if choices else {})["score"]
    assert score == pytest.approx(ours), name


def attempts():
    """Return (response, score) of each row of the attempts to cheat by the form."""
    section = PAGE.read_text().partition("## Attempts to cheat by the form")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    return [(response.strip(" `"), float(score)) for _, response, score, _ in rows]


@pytest.mark.parametrize(("response", "score"), attempts())
def test_what_an_attempt_to_cheat_earns(response, score):
    assert math.compute_score("any", response, "5")["score"] == pytest.approx(score)


def test_the_gate_leaves_a_row_of_guesses_nothing():
    assert math.compute_score("any", attempts()[4][0], "5", format_gates=True)["score"] == 0.0


def test_the_page_counts_its_rows_and_marks_the_different_ones():
    cases = probes()
    different = [case for case in cases if case[4] != case[5]]
    assert f"{len(cases)} responses, of\nwhich {len(different)} score differently" in PAGE.read_text()
    marked = re.findall(r"(?m)\*\* \| \*\*[\d.]+\*\* \|$", PAGE.read_text())
    assert len(marked) == len(different)
