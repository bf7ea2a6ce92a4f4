"""Draws golds of every kind, each with equal writings and with answers that are surely wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from random import Random

from graders import equations, expressions, groups, intervals, measures, numbers, roots, statements
from graders.kind import Kind, Slots, Writings, plain
from graders.mutations import ASIDES, BLUFF, BLUFFS, OR, TWO_CANDIDATES, WORDS_ADDED, mutations

KINDS: tuple[Kind, ...] = (
    *numbers.KINDS,
    *roots.KINDS,
    *measures.KINDS,
    *expressions.KINDS,
    *equations.KINDS,
    *intervals.KINDS,
    *groups.KINDS,
    *statements.KINDS,
)
ROUNDS = 3  # of mutations, because one may leave the value as it is
MAX_SAME = 3  # other writings of a gold
TRIES = 30  # draws of a kind without a new gold, after which it is exhausted


@dataclass(frozen=True)
class Wrong:
    """A wrong answer.

    Attributes:
        mutation: what was changed.
        text: the answer.
    """

    mutation: str
    text: str


@dataclass(frozen=True)
class Gold:
    """A gold answer.

    Attributes:
        kind: name of its kind.
        text: LaTeX or words, as in a data set.
        same: other writings that a teacher accepts.
        wrong: answers whose value differs from the gold's, at most one for each mutation.
        choices: choices of the question, if it is a multiple-choice question.
    """

    kind: str
    text: str
    same: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    choices: tuple[str, ...] = ()


def golds(count: int, seed: int = 0) -> list[Gold]:
    """Return this many different golds, the kinds in turn; fewer only if every kind is exhausted."""
    return list(islice(_draw_all(seed), count))


def _draw_all(seed: int) -> Iterator[Gold]:
    rngs = {kind: Random(f"{seed} {kind.name}") for kind in KINDS}  # a kind's golds do not depend on the others
    seen: set[tuple[str, tuple[str, ...]]] = set()
    alive = list(KINDS)
    while alive:
        for kind in tuple(alive):
            for _ in range(TRIES):
                gold = draw_gold(kind, rngs[kind])
                if (gold.text, gold.choices) not in seen:
                    seen.add((gold.text, gold.choices))
                    yield gold
                    break
            else:
                alive.remove(kind)


def draw_gold(kind: Kind, rng: Random) -> Gold:
    """Draw one gold of a kind."""
    slots = kind.draw(rng)
    writings = kind.write(**plain(slots))
    text = rng.choice(writings.golds)
    others = list(dict.fromkeys(same for same in (*writings.golds, *writings.answers) if same != text))
    return Gold(
        kind=kind.name,
        text=text,
        same=tuple(rng.sample(others, min(len(others), MAX_SAME))),
        wrong=tuple(_wrong(kind, slots, text, writings, rng)),
        choices=kind.choices(**plain(slots)),
    )


def _wrong(kind: Kind, slots: Slots, text: str, writings: Writings, rng: Random) -> Iterator[Wrong]:
    right = {*writings.golds, *writings.answers}
    value = kind.value(**plain(slots))
    position = writings.golds.index(text)
    seen: set[str] = set()
    hedges: list[Wrong] = []
    for mutation, changed in chain(*(mutations(slots, rng) for _ in range(ROUNDS))):
        try:
            if mutation in seen or kind.value(**plain(changed)) == value:
                continue
            others = kind.write(**plain(changed)).golds
        except ValueError:  # the changed slots are no answer
            continue
        wrong = others[position] if position < len(others) else others[0]  # written as the gold is, if that is possible
        if wrong not in right:
            seen.add(mutation)
            yield Wrong(mutation, wrong)
            if "dropped" not in mutation and not hedges:  # `1, 2 or 2` could be read as the set of 1 and 2
                hedges.append(Wrong(TWO_CANDIDATES, f"{text}{rng.choice(OR)}{wrong}"))
    yield from hedges
    yield Wrong(WORDS_ADDED, rng.choice(ASIDES).format(text))
    yield Wrong(BLUFF, rng.choice([bluff for bluff in BLUFFS if bluff not in right]))
