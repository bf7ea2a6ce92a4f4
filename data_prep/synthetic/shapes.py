"""Synthetic grounding: find one coloured shape among others that share their colours or kinds.

    python -m data_prep shapes --out DIR [--train N] [--val N] [--ood N] [--seed S]

writes DIR/train.parquet, DIR/val.parquet and, if N is given, DIR/ood.parquet. The pictures are those of
`data_prep.synthetic.scenes`. An edge may lie on 29 lines, 4 pixels apart, so that many boxes are nearly right: one edge
of a small shape that is one line off costs an IoU of 0.10 to 0.17.

`verl_plugins.demo` trains its starting model on the split "warmup", where no other shape has both the colour and the
kind of the target. In a tenth of the rows of "train" and "val" one has, and only size or position tells the two
apart, so that RL meets questions that the warm-up did not have. The split "ood" is out of the domain of the others: two
more shapes, sizes that they do not have, other shades of the colours, other wordings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from data_prep.convert.parquet_groups import write_parquet
from data_prep.synthetic.scenes import COLOURS, KINDS, OTHER_SHADES, SIDE, STEP, ColouredShape, overlap, paint
from data_prep.synthetic.synthetic_command import synthetic_command
from data_prep.synthetic.synthetic_row import source_of, synthetic_row
from data_prep.types import Row

DATA_SOURCE = "shapes_grounding"
SIZES = {"small": (24, 28, 32, 36), "large": (48, 52, 56, 60)}  # pixels
OTHER_SIZES = {"small": (16, 20), "large": (40, 44)}
TWINS = 0.1  # share of the rows of "train", "val" and "ood" with a shape that looks like the target
MORE_SHAPES = 2  # in "ood"

OPENINGS = ("", "Look closely. ", "Several coloured shapes lie on a plain background. ")
REQUESTS = (
    "Find {target}.",
    "Where is {target}?",
    "Give the bounding box of {target}.",
    "Please tell me which pixels {target} covers.",
)
OTHER_REQUESTS = (
    "Look for {target} and tell me where it is.",
    "Which pixels are those of {target}?",
    "{target}: which box covers it?",
)
HINTS = (" Count from the top left.", " Use whole numbers.", f" The picture is {SIDE} pixels wide and high.")
ANSWER_FORM = " Answer with <answer>[x1, y1, x2, y2]</answer>."


def make_scene(index: int, split: str, seed: int) -> list[ColouredShape]:
    """Draw the shapes of row `index`, the target first; none overlap.

    There are three shapes. One of them, the pivot, shares its colour with the second and its kind with the third. Each
    of the three is the target equally often, so the image alone does not tell which it is.

    In TWINS of the rows, but never in "warmup", there is a fourth: a twin of the pivot, with the same colour and kind,
    which differs in size or lies clearly to one side. The target is then the pivot, and the question tells it from its
    twin. The further shapes of "ood" have neither the colour nor the kind of the pivot.
    """
    rng = _rng("scene", index, split, seed)
    has_twin = split != "warmup" and rng.random() < TWINS
    sizes = OTHER_SIZES if split == "ood" else SIZES
    while True:
        colour, other_colour, *further_colours = rng.sample(list(COLOURS), len(COLOURS))
        kind, other_kind, further_kind = rng.sample(KINDS, len(KINDS))
        looks = [(colour, kind), (colour, other_kind), (other_colour, kind)] + [(colour, kind)] * has_twin
        shapes = [_place(look, sizes, rng) for look in looks]
        more = [(further, further_kind) for further in further_colours[:MORE_SHAPES]] if split == "ood" else []
        further_shapes = [_place(look, sizes, rng) for look in more]
        drawn = shapes + further_shapes
        if any(overlap(a.box, b.box) for number, a in enumerate(drawn) for b in drawn[:number]):
            continue
        if not has_twin:
            return rng.sample(shapes, len(shapes)) + further_shapes
        if _distinguishing_expressions(shapes[0], shapes[-1]):
            return drawn


def describe(shapes: list[ColouredShape], rng: Random) -> str:
    """Return a referring expression that fits the first shape and no other."""
    target = shapes[0]
    name = f"{target.colour} {target.kind}"
    twins = [shape for shape in shapes[1:] if (shape.colour, shape.kind) == (target.colour, target.kind)]
    return rng.choice(_distinguishing_expressions(target, twins[0])).format(name) if twins else f"the {name}"


def make_row(index: int, split: str, seed: int) -> Row:
    """Make row number `index` of `split`, a pure function of its three arguments.

    Returns:
        A row with the fields of `row_schema()`; `reward_model.ground_truth` is the JSON text of [x1, y1, x2, y2].
    """
    shapes = make_scene(index, split, seed)
    png = paint(shapes, _rng("paint", index, split, seed), OTHER_SHADES if split == "ood" else COLOURS)
    rng = _rng("words", index, split, seed)
    request = rng.choice(OTHER_REQUESTS if split == "ood" else REQUESTS).format(target=describe(shapes, rng))
    opening = rng.choice(OPENINGS)
    hints = "".join(hint for hint in HINTS if rng.random() < 0.5)
    question = opening + request + hints + ANSWER_FORM
    ground_truth = json.dumps(list(shapes[0].box))
    return synthetic_row(
        source_of(DATA_SOURCE, split), "grounding", question, ground_truth, png, SIDE, split, index, seed
    )


def unique_rows(count: int, split: str, seed: int) -> Iterator[Row]:
    """Yield the first `count` rows of `split`, without those whose question and answer both equal an earlier row's.

    A report can therefore find the image of a rollout by its prompt and ground truth.
    """
    seen: set[tuple[str, str]] = set()
    index = 0
    while len(seen) < count:
        row = make_row(index, split, seed)
        key = (row["prompt"][0]["content"], row["reward_model"]["ground_truth"])
        if key not in seen:
            seen.add(key)
            yield row
        index += 1


def write_split(out: Path, split: str, rows: int, seed: int) -> None:
    """Write `rows` rows of a split to out/SPLIT.parquet."""
    write_parquet(unique_rows(rows, split, seed), out / f"{split}.parquet")


def _rng(purpose: str, index: int, split: str, seed: int) -> Random:
    return Random(f"{DATA_SOURCE}/{purpose}/{seed}/{split}/{index}")


def _place(look: tuple[str, str], sizes: dict[str, tuple[int, ...]], rng: Random) -> ColouredShape:
    size = rng.choice(list(sizes))
    side = rng.choice(sizes[size])
    x1, y1 = (rng.randrange(0, SIDE - side + 1, STEP) for _ in range(2))
    return ColouredShape(*look, size, (x1, y1, x1 + side, y1 + side))


def _distinguishing_expressions(target: ColouredShape, twin: ColouredShape) -> list[str]:
    """Return expressions with a slot for "red circle" that fit `target` and not `twin`; empty if there are none."""
    expressions = [f"the {target.size} {{}}"] if target.size != twin.size else []
    sides = (("on the left", "on the right"), ("at the top", "at the bottom"))
    for axis, (low, high) in enumerate(sides):
        if target.box[axis + 2] <= twin.box[axis]:
            expressions.append(f"the {{}} {low}")
        elif twin.box[axis + 2] <= target.box[axis]:
            expressions.append(f"the {{}} {high}")
    return expressions


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep shapes`."""
    synthetic_command("shapes", "Write synthetic grounding data.", write_split, argv)
