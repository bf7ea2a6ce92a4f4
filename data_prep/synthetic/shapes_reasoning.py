r"""Synthetic reasoning: name a colour or a kind, or count, in one sentence of thought, and box the answer.

    python -m data_prep shapes-reasoning --out DIR [--train N] [--val N] [--seed S]

writes DIR/train.parquet and DIR/val.parquet. The images are those of `data_prep.synthetic.shapes`. In the response

    <think>I see that, to my eye, the square is red, I think.</think> So \boxed{red}

one word depends on the image: the first "red". Other words are interchangeable with many ("to my eye", "So"). A method
that selects tokens by their entropy alone finds those; a method that looks for dependence on the image finds "red".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from data_prep.convert.parquet_groups import write_parquet
from data_prep.synthetic.shapes import COLOURS, KINDS, SIDE, ColouredShape, make_scene, paint
from data_prep.synthetic.synthetic_command import synthetic_command
from data_prep.synthetic.synthetic_row import synthetic_row
from data_prep.types import Row

DATA_SOURCE = "shapes_reasoning"
NUMBERS = ("no", "one", "two", "three")
ANSWERS = (*COLOURS, *KINDS, *NUMBERS)
ANSWER_FORM = " Think first, then write the answer as \\boxed{word}."
OPENINGS = ("I see that", "It seems that", "The picture shows that", "Clearly", "Well", "Looking closely")
ASIDES = ("", ", to my eye,", ", at first sight,", ", without doubt,", ", as it is,")
CLOSINGS = (", I think.", ", for sure.", ", it seems.", ".", " here.")
CONNECTIVES = ("", " So", " Thus", " Hence", " Therefore", " In short,")


def make_question(index: int, split: str, seed: int) -> tuple[str, str, str]:
    """Draw the question of row `index`: about a colour, a kind or a number, equally often.

    Returns:
        The question, the sentence that answers it without its last word ("the square is"), and that word.
    """
    shapes = make_scene(index, split, seed)
    rng = _rng("question", index, split, seed)
    question_kinds: list[Callable[[list[ColouredShape], Random], tuple[str, str, str]]] = [_colour, _kind, _number]
    return rng.choice(question_kinds)(shapes, rng)


def _colour(shapes: list[ColouredShape], rng: Random) -> tuple[str, str, str]:
    kinds = [shape.kind for shape in shapes]
    single = rng.choice([shape for shape in shapes if kinds.count(shape.kind) == 1])
    return f"What colour is the {single.kind}?", f"the {single.kind} is", single.colour


def _kind(shapes: list[ColouredShape], rng: Random) -> tuple[str, str, str]:
    colours = [shape.colour for shape in shapes]
    single = rng.choice([shape for shape in shapes if colours.count(shape.colour) == 1])
    return f"What is the {single.colour} shape?", f"the {single.colour} shape is a", single.kind


def _number(shapes: list[ColouredShape], rng: Random) -> tuple[str, str, str]:
    kind = rng.choice(KINDS)
    count = sum(shape.kind == kind for shape in shapes)
    return f"How many {kind}s are there?", f"the number of {kind}s is", NUMBERS[count]


def make_row(index: int, split: str, seed: int) -> Row:
    """Make row number `index` of `split`, a pure function of its three arguments.

    Returns:
        A row with the fields of `row_schema()`; `reward_model.ground_truth` is one word of ANSWERS.
    """
    png = paint(make_scene(index, split, seed), _rng("paint", index, split, seed))
    question, _, answer = make_question(index, split, seed)
    return synthetic_row(DATA_SOURCE, "reasoning", question + ANSWER_FORM, answer, png, SIDE, split, index, seed)


def write_splits(out: Path, train: int, val: int, seed: int) -> None:
    """Write `train` and `val` rows to out/train.parquet and out/val.parquet."""
    for split, count in (("train", train), ("val", val)):
        write_parquet((make_row(index, split, seed) for index in range(count)), out / f"{split}.parquet")


def _rng(purpose: str, index: int, split: str, seed: int) -> Random:
    return Random(f"{DATA_SOURCE}/{purpose}/{seed}/{split}/{index}")


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep shapes-reasoning`."""
    synthetic_command("shapes-reasoning", "Write synthetic visual reasoning data.", write_splits, argv)
