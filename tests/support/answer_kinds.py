"""Judges pairs of a gold and an answer as the maths reward does, with algebra in this process instead of a worker."""

from collections.abc import Mapping

from reward_fns.answers import BadGold, is_same
from reward_fns.answers.symbolic import compare

Pairs = list[tuple[str, str]]
FEWEST_SAME, FEWEST_DIFFERENT = 3, 5  # pairs of each kind


def judge(gold: str, answer: str, choices: tuple[str, ...] = ()) -> bool | str:
    """Return whether two answers are the same, or "bad_gold"."""
    try:
        return is_same(gold, answer, choices, lambda a, b: compare(a, b) == "equal")
    except BadGold:
        return "bad_gold"


def cases(kinds: Mapping[str, tuple[Pairs, Pairs]]) -> list[tuple[str, str, bool]]:
    """Return (gold, answer, whether they are the same) of each kind: a name with equal and different pairs."""
    for kind, (same, different) in kinds.items():
        assert len(same) >= FEWEST_SAME and len(different) >= FEWEST_DIFFERENT, kind
    return [
        (*pair, is_right)
        for same, different in kinds.values()
        for pairs, is_right in ((same, True), (different, False))
        for pair in pairs
    ]
