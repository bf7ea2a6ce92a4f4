"""Asks every grader about every pair, and counts."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graders.golds import Gold
from graders.graders import Grader

IDENTICAL, SAME = "identical text", "another writing"


@dataclass
class Count:
    """What the graders did with the pairs of one row of the page.

    Attributes:
        pairs: number of pairs.
        failed: wrong answers accepted, or right ones refused, by grader.
        examples: pairs (gold, answer) at which a grader failed, by grader.
    """

    pairs: int = 0
    failed: Counter = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class Trial:
    """All counts.

    Attributes:
        accepted_by_mutation, accepted_by_kind: wrong answers.
        refused_by_writing: right answers, by IDENTICAL or SAME.
        refused_by_kind: right answers by kind of gold.
        seconds: time that each grader took for all pairs.
        pairs: number of all pairs.
    """

    accepted_by_mutation: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    accepted_by_kind: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    refused_by_writing: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    refused_by_kind: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    seconds: Counter = field(default_factory=Counter)
    pairs: int = 0


def run(golds: Iterable[Gold], graders: Mapping[str, Grader]) -> Trial:
    """Ask the graders about each gold's own text, its other writings and its wrong answers."""
    trial = Trial()
    for gold in golds:
        for wrong in gold.wrong:
            counts = (trial.accepted_by_mutation[wrong.mutation], trial.accepted_by_kind[gold.kind])
            _ask(trial, gold, wrong.text, False, counts, graders)
        for text in (gold.text, *gold.same):
            writing = IDENTICAL if text == gold.text else SAME
            counts = (trial.refused_by_writing[writing], trial.refused_by_kind[gold.kind])
            _ask(trial, gold, text, True, counts, graders)
    return trial


def _ask(
    trial: Trial, gold: Gold, answer: str, is_right: bool, counts: Iterable[Count], graders: Mapping[str, Grader]
) -> None:
    trial.pairs += 1
    for count in counts:
        count.pairs += 1
    for name, grader in graders.items():
        started = time.perf_counter()
        verdict = grader(gold, answer)
        trial.seconds[name] += time.perf_counter() - started
        if verdict != is_right:
            for count in counts:
                count.failed[name] += 1
                count.examples[name].append((gold.text, answer))
