r"""Synthetic reasoning: read three to five facts off a picture, name them on the way, add them up, and box the sum.

    python -m data_prep shapes-reasoning --out DIR [--train N] [--val N] [--ood N] [--seed S]

writes DIR/train.parquet, DIR/val.parquet and, if N is given, DIR/ood.parquet. A picture of `data_prep.synthetic.scenes`
shows four to six shapes, each within one cell. Every fact is worth a number of points: how many shapes have a colour, a
kind or a size; one point if a shape is in the top half or the left half; one if there are more of one kind than of
another. The answer depends on each of them. In the response

    <think>Looking closely the number of red shapes is two. Looking closely the circles number one and the squares
    three, which gives zero. Looking closely the green circle is at the top, which gives one. So two plus zero plus one
    makes three.</think>\boxed{three}

few words depend on the image: "two", "one", "three", "top" and what follows from them. Others can be said in several
ways ("Looking closely", "At a glance") whatever the image shows.

The split "ood" is out of the domain of the others: one or two more shapes, sizes that they do not have, other shades of
the colours, other wordings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from data_prep.convert.parquet_groups import write_parquet
from data_prep.synthetic.scenes import CELL, CELLS, COLOURS, KINDS, OTHER_SHADES, SIDE, STEP, ColouredShape, paint
from data_prep.synthetic.synthetic_command import synthetic_command
from data_prep.synthetic.synthetic_row import source_of, synthetic_row
from data_prep.types import Row

DATA_SOURCE = "shapes_reasoning"
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SHAPES = (4, 5, 6)  # shapes in a picture
OTHER_SHAPES = (7, 8)
SIZES = {"small": (8, 16), "large": (20, 28)}  # pixels
OTHER_SIZES = {"small": (12,), "large": (24,)}
FACTS = (3, 4, 5)  # facts in a question
ANSWER_FORM = " Think first, then write the sum as \\boxed{word}."
REQUESTS = ("Add up {terms}.", "What is the sum of {terms}?", "How many points do {terms} make together?")
OTHER_REQUESTS = ("Take {terms}: what do they make together?", "Give the sum: {terms}.")


@dataclass(frozen=True)
class Fact:
    """One fact that a question asks for.

    Args:
        kind: "count", "place" or "compare".
        term: its part of the question, "the number of red shapes".
        readings: what is read off the picture for it: numbers of shapes, or 1 and 0 for a half.
        most: the largest value that a reading can have.
        say: readings to the sentence that says so, "the number of red shapes is two", and to their worth in points.
    """

    kind: str
    term: str
    readings: tuple[int, ...]
    most: int
    say: Callable[[tuple[int, ...]], tuple[str, int]]

    @property
    def value(self) -> int:
        """Its worth in points."""
        return self.say(self.readings)[1]


def make_scene(index: int, split: str, seed: int) -> list[ColouredShape]:
    """Draw the shapes of row `index`, each within a cell of its own."""
    rng = _rng("scene", index, split, seed)
    sizes = OTHER_SIZES if split == "ood" else SIZES
    shapes = []
    for cell in rng.sample(range(CELLS**2), rng.choice(OTHER_SHAPES if split == "ood" else SHAPES)):
        size = rng.choice(list(sizes))
        side = rng.choice(sizes[size])
        x1 = CELL * (cell % CELLS) + rng.randrange(0, CELL - side + 1, STEP)
        y1 = CELL * (cell // CELLS) + rng.randrange(0, CELL - side + 1, STEP)
        colour, kind = rng.choice(list(COLOURS)), rng.choice(KINDS)
        shapes.append(ColouredShape(colour, kind, size, (x1, y1, x1 + side, y1 + side)))
    return shapes


def make_question(index: int, split: str, seed: int) -> tuple[str, list[Fact]]:
    """Draw the question of row `index`, without the form of its answer, and the facts that it asks for, in order."""
    rng = _rng("question", index, split, seed)
    count = rng.choice(FACTS)
    facts = draw_facts(make_scene(index, split, seed), count, rng)
    while sum(fact.value for fact in facts) >= len(NUMBERS):
        facts = draw_facts(make_scene(index, split, seed), count, rng)
    terms = ", ".join(fact.term for fact in facts[:-1]) + f" and {facts[-1].term}"
    return rng.choice(OTHER_REQUESTS if split == "ood" else REQUESTS).format(terms=terms), facts


def draw_facts(
    shapes: list[ColouredShape], count: int, rng: Random, kinds: Sequence[str] = ("count", "count", "place", "compare")
) -> list[Fact]:
    """Draw `count` different facts about a scene, of `kinds` with equal probability each; some are not places."""
    draw = {"count": _count, "place": _place, "compare": _compare}
    facts: dict[str, Fact] = {}
    while len(facts) < count:
        fact = draw[rng.choice(kinds)](shapes, rng)
        if fact is not None:
            facts.setdefault(fact.term, fact)
    return list(facts.values())


def _count(shapes: list[ColouredShape], rng: Random) -> Fact:
    noun, has = rng.choice(
        [
            *((f"{name} shapes", lambda shape, name=name: shape.colour == name) for name in COLOURS),
            *((f"{name}s", lambda shape, name=name: shape.kind == name) for name in KINDS),
            *((f"{name} shapes", lambda shape, name=name: shape.size == name) for name in SIZES),
        ]
    )

    def say(readings: tuple[int, ...]) -> tuple[str, int]:
        return f"the number of {noun} is {NUMBERS[readings[0]]}", readings[0]

    return Fact("count", f"the number of {noun}", (sum(map(has, shapes)),), max(OTHER_SHAPES), say)


def _place(shapes: list[ColouredShape], rng: Random) -> Fact | None:
    """Ask for the half that a shape is in, which no other shape of the scene looks like."""
    looks = [(shape.colour, shape.kind) for shape in shapes]
    singles = [shape for shape, look in zip(shapes, looks, strict=True) if looks.count(look) == 1]
    if not singles:
        return None
    shape = rng.choice(singles)
    name = f"the {shape.colour} {shape.kind}"
    axis, here, there = rng.choice(((1, "at the top", "at the bottom"), (0, "on the left", "on the right")))

    def say(readings: tuple[int, ...]) -> tuple[str, int]:
        half, points = (here, "one") if readings[0] else (there, "zero")
        return f"{name} is {half}, which gives {points}", readings[0]

    return Fact("place", f"one if {name} is {here}", (int(shape.box[axis] < SIDE // 2),), 1, say)


def _compare(shapes: list[ColouredShape], rng: Random) -> Fact:
    many, few = rng.sample(KINDS, 2)
    readings = tuple(sum(shape.kind == kind for shape in shapes) for kind in (many, few))

    def say(readings: tuple[int, ...]) -> tuple[str, int]:
        points = int(readings[0] > readings[1])
        counts = f"the {many}s number {NUMBERS[readings[0]]} and the {few}s {NUMBERS[readings[1]]}"
        return f"{counts}, which gives {NUMBERS[points]}", points

    return Fact("compare", f"one if there are more {many}s than {few}s", readings, max(OTHER_SHAPES), say)


def make_row(index: int, split: str, seed: int) -> Row:
    """Make row number `index` of `split`, a pure function of its three arguments.

    Returns:
        A row with the fields of `row_schema()`; `reward_model.ground_truth` is one word of NUMBERS.
    """
    shades = OTHER_SHADES if split == "ood" else COLOURS
    png = paint(make_scene(index, split, seed), _rng("paint", index, split, seed), shades)
    question, facts = make_question(index, split, seed)
    answer = NUMBERS[sum(fact.value for fact in facts)]
    return synthetic_row(
        source_of(DATA_SOURCE, split), "reasoning", question + ANSWER_FORM, answer, png, SIDE, split, index, seed
    )


def write_split(out: Path, split: str, rows: int, seed: int) -> None:
    """Write `rows` rows of a split to out/SPLIT.parquet."""
    write_parquet((make_row(index, split, seed) for index in range(rows)), out / f"{split}.parquet")


def _rng(purpose: str, index: int, split: str, seed: int) -> Random:
    return Random(f"{DATA_SOURCE}/{purpose}/{seed}/{split}/{index}")


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep shapes-reasoning`."""
    synthetic_command("shapes-reasoning", "Write synthetic visual reasoning data.", write_split, argv)
