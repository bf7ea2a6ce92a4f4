"""docs/rewards.md: what its table of types says is accepted or refused is."""

import re
from pathlib import Path

import pytest
from answer_kinds import judge

PAGE = Path(__file__).parents[3] / "docs" / "rewards.md"
FEWEST = 100  # pairs that the table has at least


def pairs():
    """Return (gold, answer, whether the page says that it is accepted)."""
    table = PAGE.read_text().partition("| type | gold | accepted | refused |")[2].partition("\n\n")[0]
    rows = [[re.findall("`([^`]+)`", cell) for cell in row.split("|")[2:5]] for row in table.splitlines()[2:]]
    return [
        (gold, answer, is_right)
        for golds, accepted, refused in rows
        for gold in golds
        for answers, is_right in ((accepted, True), (refused, False))
        for answer in answers
    ]


@pytest.mark.parametrize(("gold", "answer", "is_right"), pairs())
def test_the_table_of_types(gold, answer, is_right):
    assert judge(gold, answer) is is_right


def test_the_table_was_read():
    assert len(pairs()) >= FEWEST
