"""One thing changed in a gold: a digit, a sign, an order, a unit, a bracket, a relation sign, a letter, ..."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from graders.kind import Pick, Slots

# Answers of somebody who does not know the answer.
BLUFFS = (
    "0=0", "1=1", "x=x", "\\text{correct}", "\\text{the answer}", "\\emptyset", "\\{\\}", "(-\\infty,\\infty)", "x",
    "A, B, C, D", "\\text{A or B or C or D}", "0 \\le x", "\\infty", "\\frac{0}{0}", "?", "\\text{None}", "-", "...",
)  # fmt: skip

# Texts that stand around the gold and make it another answer, or none.
ASIDES = (
    "\\text{{not }} {}", "{} \\text{{ million}}", "{} \\text{{ is wrong}}", "{} \\text{{ halves}}", "{} squared",
    "{} \\text{{ hundred}}",
)  # fmt: skip
OR = (" \\text{ or } ", " or ", "\\text{ 或 }")

TWO_CANDIDATES, WORDS_ADDED, BLUFF = "two candidates", "words added", "bluff"
ATTEMPTS = (TWO_CANDIDATES, WORDS_ADDED, BLUFF)  # to be paid without an answer; the others change the answer itself


def mutations(slots: Slots, rng: Random) -> Iterator[tuple[str, Slots]]:
    """Yield the names of the mutations that these slots allow, each with the slots after one such mutation.

    A mutation may leave the value as it is (the order of a set); the caller compares values.
    """
    for key, slot in rng.sample(list(slots.items()), len(slots)):
        for mutation, changed in _variants(slot, rng):
            yield mutation, {**slots, key: changed}


def _variants(slot: Any, rng: Random) -> Iterator[tuple[str, Any]]:
    if isinstance(slot, Pick):
        others = [option for option in slot.options if option != slot.value]
        yield slot.mutation, Pick(rng.choice(others), slot.options, slot.mutation)
    elif isinstance(slot, int):
        yield "digit", _other_digit(slot, rng)
        yield "sign", -slot
    elif isinstance(slot, tuple) and slot:
        has_rows = isinstance(slot[0], tuple)
        if len(slot) > 1:
            i, j = rng.sample(range(len(slot)), 2)
            swapped = list(slot)
            swapped[i], swapped[j] = slot[j], slot[i]
            yield "row order" if has_rows else "order", tuple(swapped)
            yield "row dropped" if has_rows else "term dropped", slot[:i] + slot[i + 1 :]
        i = rng.randrange(len(slot))
        for mutation, changed in _variants(slot[i], rng):
            if not (has_rows and mutation == "term dropped"):  # a row of another length is no matrix
                yield mutation, (*slot[:i], changed, *slot[i + 1 :])


def _other_digit(number: int, rng: Random) -> int:
    digits = str(abs(number))
    i = rng.randrange(len(digits))
    low = 1 if i == 0 else 0
    digit = rng.choice([d for d in range(low, 10) if d != int(digits[i])])
    value = int(f"{digits[:i]}{digit}{digits[i + 1 :]}")
    return -value if number < 0 else value
