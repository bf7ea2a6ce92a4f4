"""Synthetic grounding: find one coloured shape among others that share their colours or kinds.

    python -m data_prep shapes --out DIR [--train N] [--val N] [--seed S]

writes DIR/train.parquet and DIR/val.parquet. An image is 84 x 84 pixels: three multiples of 28, so Qwen2.5-VL's
resizing leaves it as it is, and the box that the model speaks is the box in the file. Boxes lie on a 28-pixel grid and
are half-open (`x2` and `y2` are one past the last painted pixel); a box that overlaps the target earns part of the IoU.

The split "warmup" is what `verl_plugins.demo` trains its starting model on. It has no twin of the target; the splits
"train" and "val" have one in 40% of their rows, told apart by size or place, so that RL meets something new.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from data_prep.convert.parquet_groups import write_parquet
from data_prep.row.schema import Row
from data_prep.synthetic.synthetic_row import splits_command, synthetic_row

DATA_SOURCE = "shapes_grounding"
SIDE = 84  # pixels
CELL = 28  # pixels; every corner is a multiple of it, and one image token of Qwen2.5-VL covers one cell
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
class Shape:
    """One painted shape; `box` is half-open (x1, y1, x2, y2) in pixels."""

    colour: str
    kind: str
    size: str
    box: tuple[int, int, int, int]


def make_scene(index: int, split: str, seed: int) -> list[Shape]:
    """The shapes of row `index`, the target first; none overlap.

    One of three shapes shares its colour with another and its kind with the third; the target is any of them, so that
    only the question tells which. In 40% of the rows, but never in "warmup", that one has a twin of the same colour and
    kind, which differs in size or lies clearly to one side, and the target is one of these two.
    """
    rng = _rng("scene", index, split, seed)
    twin = split != "warmup" and rng.random() < 0.4
    while True:
        colour, other_colour = rng.sample(list(COLOURS), 2)
        kind, other_kind = rng.sample(KINDS, 2)
        looks = [(colour, kind), (colour, other_kind), (other_colour, kind)] + [(colour, kind)] * twin
        shapes: list[Shape] = []
        for shape_colour, shape_kind in looks:
            size = rng.choice(list(SIZES))
            x, y = (rng.randrange(CELLS - SIZES[size] + 1) for _ in range(2))
            x1, y1, side = CELL * x, CELL * y, CELL * SIZES[size]
            shapes.append(Shape(shape_colour, shape_kind, size, (x1, y1, x1 + side, y1 + side)))
        apart = not any(_overlap(a.box, b.box) for i, a in enumerate(shapes) for b in shapes[:i])
        if apart and not twin:
            return rng.sample(shapes, len(shapes))
        if apart and _forms_that_fit(shapes[0], shapes[-1]):
            return shapes


def paint(shapes: list[Shape], rng: Random) -> bytes:
    """The scene as an RGB PNG of SIDE x SIDE pixels: a light background, plain or with faint noise, and the shapes."""
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


def describe(shapes: list[Shape], rng: Random) -> str:
    """A referring expression that fits the first shape and no other."""
    target = shapes[0]
    name = f"{target.colour} {target.kind}"
    twins = [shape for shape in shapes[1:] if (shape.colour, shape.kind) == (target.colour, target.kind)]
    return rng.choice(_forms_that_fit(target, twins[0])).format(name) if twins else f"the {name}"


def make_row(index: int, split: str, seed: int) -> Row:
    """The row number `index` of `split`: a pure function of its three arguments.

    Returns:
        A dict of `data_prep.row.schema.row_schema()`; `reward_model.ground_truth` is the JSON text of [x1, y1, x2, y2].
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
    """The first `count` rows of `split` whose question and answer together occurred in no earlier row.

    A report that knows a rollout's prompt and ground truth can therefore find its image.
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


def _forms_that_fit(target: Shape, twin: Shape) -> list[str]:
    """Every form, with a gap for "red circle", that fits `target` and not `twin`; none if nothing tells them apart."""
    forms = [f"the {target.size} {{}}"] if target.size != twin.size else []
    sides = (("on the left", "on the right"), ("at the top", "at the bottom"))
    for axis, (low, high) in enumerate(sides):
        if target.box[axis + 2] <= twin.box[axis]:
            forms.append(f"the {{}} {low}")
        elif twin.box[axis + 2] <= target.box[axis]:
            forms.append(f"the {{}} {high}")
    return forms


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep shapes`."""
    splits_command("shapes", "Write synthetic grounding data.", write_splits, argv)


if __name__ == "__main__":
    main()
