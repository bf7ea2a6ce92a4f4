"""Synthetic grounding: find one coloured shape among others that share their colours or kinds.

    python -m data_prep shapes --out DIR [--train N] [--val N] [--seed S]

writes DIR/train.parquet and DIR/val.parquet. An image is 84 x 84 pixels. That is a multiple of 28, so Qwen2.5-VL's
processor does not resize it, and the pixels of the model's boxes are those of the file. Boxes lie on a 28-pixel grid
and are half-open: `x2` and `y2` are one past the last painted pixel.

`verl_plugins.demo` trains its starting model on the split "warmup", where no other shape has both the colour and the
kind of the target. In 40% of the rows of "train" and "val" one has, and only size or position tells the two apart, so
that RL meets questions that the warm-up did not have.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from data_prep.convert.parquet_groups import write_parquet
from data_prep.synthetic.synthetic_command import synthetic_command
from data_prep.synthetic.synthetic_row import synthetic_row
from data_prep.types import Row

DATA_SOURCE = "shapes_grounding"
SIDE = 84  # pixels
CELL = 28  # pixels; corners are multiples of it, and one image token of Qwen2.5-VL covers one cell
CELLS = SIDE // CELL
SIZES = {"small": 1, "large": 2}  # cells
COLOURS = {
    "red": (214, 39, 40),
    "green": (34, 139, 34),
    "blue": (31, 80, 214),
    "orange": (255, 140, 0),
    "purple": (128, 0, 160),
}
KINDS = ("square", "circle", "triangle")

OPENINGS = ("", "Look closely. ", "Several coloured shapes lie on a plain background. ")
REQUESTS = (
    "Find {target}.",
    "Where is {target}?",
    "Give the bounding box of {target}.",
    "Please tell me which pixels {target} covers.",
)
HINTS = (" Count from the top left.", " Use whole numbers.", " The picture is 84 pixels wide and high.")
ANSWER_FORM = " Answer with <answer>[x1, y1, x2, y2]</answer>."


@dataclass(frozen=True)
class ColouredShape:
    """One painted shape; `box` is (x1, y1, x2, y2), half-open, in pixels."""

    colour: str
    kind: str
    size: str
    box: tuple[int, int, int, int]


def make_scene(index: int, split: str, seed: int) -> list[ColouredShape]:
    """Draw the shapes of row `index`, the target first; none overlap.

    There are three shapes. One of them, the pivot, shares its colour with the second and its kind with the third. Each
    of the three is the target equally often, so the image alone does not tell which it is.

    In 40% of the rows, but never in "warmup", there is a fourth: a twin of the pivot, with the same colour and kind,
    which differs in size or lies clearly to one side. The target is then the pivot, and the question tells it from its
    twin.
    """
    rng = _rng("scene", index, split, seed)
    has_twin = split != "warmup" and rng.random() < 0.4
    while True:
        colour, other_colour = rng.sample(list(COLOURS), 2)
        kind, other_kind = rng.sample(KINDS, 2)
        looks = [(colour, kind), (colour, other_kind), (other_colour, kind)] + [(colour, kind)] * has_twin
        shapes: list[ColouredShape] = []
        for shape_colour, shape_kind in looks:
            size = rng.choice(list(SIZES))
            x, y = (rng.randrange(CELLS - SIZES[size] + 1) for _ in range(2))
            x1, y1, side = CELL * x, CELL * y, CELL * SIZES[size]
            shapes.append(ColouredShape(shape_colour, shape_kind, size, (x1, y1, x1 + side, y1 + side)))
        is_apart = not any(_overlap(a.box, b.box) for i, a in enumerate(shapes) for b in shapes[:i])
        if is_apart and not has_twin:
            return rng.sample(shapes, len(shapes))
        if is_apart and _distinguishing_expressions(shapes[0], shapes[-1]):
            return shapes


def paint(shapes: list[ColouredShape], rng: Random) -> bytes:
    """Paint a scene as an RGB PNG of SIDE x SIDE pixels, on a light background that is plain or has faint noise."""
    from PIL import Image, ImageDraw

    background = tuple(rng.randrange(200, 256) for _ in range(3))
    image = Image.new("RGB", (SIDE, SIDE), background)
    if rng.random() < 0.5:
        noise = Image.frombytes("L", (SIDE, SIDE), rng.randbytes(SIDE * SIDE)).convert("RGB")
        image = Image.blend(image, noise, 0.1)
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        x1, y1, x2, y2 = shape.box[0], shape.box[1], shape.box[2] - 1, shape.box[3] - 1
        fill = COLOURS[shape.colour]
        if shape.kind == "square":
            draw.rectangle((x1, y1, x2, y2), fill=fill)
        elif shape.kind == "circle":
            draw.ellipse((x1, y1, x2, y2), fill=fill)
        else:
            draw.polygon([((x1 + x2) // 2, y1), (x1, y2), (x2, y2)], fill=fill)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


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
    png = paint(shapes, _rng("paint", index, split, seed))
    rng = _rng("words", index, split, seed)
    request = rng.choice(REQUESTS).format(target=describe(shapes, rng))
    opening = rng.choice(OPENINGS)
    hints = "".join(hint for hint in HINTS if rng.random() < 0.5)
    question = opening + request + hints + ANSWER_FORM
    ground_truth = json.dumps(list(shapes[0].box))
    return synthetic_row(DATA_SOURCE, "grounding", question, ground_truth, png, SIDE, split, index, seed)


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


def write_splits(out: Path, train: int, val: int, seed: int) -> None:
    """Write `train` and `val` rows to out/train.parquet and out/val.parquet."""
    for split, count in (("train", train), ("val", val)):
        write_parquet(unique_rows(count, split, seed), out / f"{split}.parquet")


def _rng(purpose: str, index: int, split: str, seed: int) -> Random:
    return Random(f"{DATA_SOURCE}/{purpose}/{seed}/{split}/{index}")


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


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
    synthetic_command("shapes", "Write synthetic grounding data.", write_splits, argv)
