"""Pictures of coloured shapes, which the synthetic tasks ask about.

A picture is 112 x 112 pixels. That is a multiple of 28, so Qwen2.5-VL's processor does not resize it, and the pixels of
the model's boxes are those of the file. Corners are multiples of 4 pixels. Boxes are half-open: `x2` and `y2` are one
past the last painted pixel.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from random import Random

SIDE = 112  # pixels
STEP = 4  # pixels; corners are multiples of it
CELL = 28  # pixels; one image token of Qwen2.5-VL covers one cell
CELLS = SIDE // CELL
Rgb = tuple[int, int, int]
COLOURS: dict[str, Rgb] = {
    "red": (214, 39, 40),
    "green": (34, 139, 34),
    "blue": (31, 80, 214),
    "orange": (255, 140, 0),
    "purple": (128, 0, 160),
}
OTHER_SHADES: dict[str, Rgb] = {
    "red": (178, 24, 60),
    "green": (80, 160, 60),
    "blue": (60, 110, 180),
    "orange": (245, 165, 50),
    "purple": (150, 50, 190),
}
"""The same names for other pixels, in pictures out of the domain that models are trained on."""
KINDS = ("square", "circle", "triangle")


@dataclass(frozen=True)
class ColouredShape:
    """One painted shape; `box` is (x1, y1, x2, y2), half-open, in pixels; `size` is "small" or "large"."""

    colour: str
    kind: str
    size: str
    box: tuple[int, int, int, int]


def overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> int:
    """Return the number of pixels that two boxes share."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def paint(shapes: list[ColouredShape], rng: Random, shades: dict[str, Rgb] = COLOURS) -> bytes:
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
        fill = shades[shape.colour]
        if shape.kind == "square":
            draw.rectangle((x1, y1, x2, y2), fill=fill)
        elif shape.kind == "circle":
            draw.ellipse((x1, y1, x2, y2), fill=fill)
        else:
            draw.polygon([((x1 + x2) // 2, y1), (x1, y2), (x2, y2)], fill=fill)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
