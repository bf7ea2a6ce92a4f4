"""The gallery as HTML: each picture before and after training, with the true and the predicted box drawn over it."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from reward_fns.boxes import Box
from verl_plugins.report.gallery import Card, Gallery, Prediction
from verl_plugins.report.run_summary import number

PIXEL_ART = 256  # longest side in pixels up to which enlarging keeps hard pixel edges
EMBEDDED = 768  # longest side in pixels of an embedded picture; larger ones are reduced

LEGEND = """<p class="legend">
<svg viewBox="0 0 36 8" aria-hidden="true"><path class="halo" d="M2,4H34"/><path class="true-box" d="M2,4H34"/></svg>
true box (solid line)
<svg viewBox="0 0 36 8" aria-hidden="true"><path class="halo" d="M2,4H34"/><path class="predicted-box" d="M2,4H34"/>
</svg> predicted box (dashed line)
</p>"""


def gallery_section(gallery: Gallery) -> str:
    """How the pictures were chosen, the legend, and one article a card."""
    count = len(gallery.cards)
    if count < gallery.matched:
        choice = f"The {count} below are at evenly spaced ranks of the change in IoU, from the best to the worst, both "
        choice += "included; nothing else was considered."
    else:
        choice = "All of them are below, from the best change in IoU to the worst."
    left_out = gallery.rows - gallery.matched
    note = f" {left_out} more fit no row or several rows of the validation file and are left out." if left_out else ""
    return "\n".join(
        [
            f"<p>Mean IoU over {gallery.rows} validation rows: <b>{number(gallery.before_iou)}</b> at step "
            f"{gallery.before_step}, <b>{number(gallery.after_iou)}</b> at step {gallery.after_step}. "
            f"{gallery.matched} rows have a picture.{note} {choice}</p>",
            LEGEND,
            '<div class="cards">',
            *(_card(card, gallery) for card in gallery.cards),
            "</div>",
        ]
    )


def _card(card: Card, gallery: Gallery) -> str:
    extreme = {1: " (best)", gallery.matched: " (worst)"}.get(card.rank, "") if gallery.matched > 1 else ""
    before, after = card.before, card.after
    name = f"card{card.rank}"
    picture, size = embedded(name, card.image, card.size)
    reuse = f'<use href="#{name}"/>'
    return "\n".join(
        [
            f'<article class="card"><h3>{escape(card.question)}</h3>',
            f'<p class="rank">Change in IoU {after.iou - before.iou:+.2f}, '
            f"rank {card.rank} of {gallery.matched}{extreme}</p>",
            '<div class="pair">',
            _view(f"{name}-before", f"Before, step {gallery.before_step}", picture, size, before),
            _view(f"{name}-after", f"After, step {gallery.after_step}", reuse, size, after),
            "</div>",
            f"<details><summary>Responses</summary><p>Before</p><pre>{escape(before.text)}</pre>"
            f"<p>After</p><pre>{escape(after.text)}</pre></details></article>",
        ]
    )


def _view(name: str, when: str, picture: str, size: tuple[int, int], prediction: Prediction) -> str:
    """One picture with its boxes and caption."""
    guess = f"predicted {corners(prediction.box)}" if prediction.box else f"no box ({prediction.status})"
    true_corners = corners(prediction.true_box)
    boxes = [("true-box", prediction.true_box)]
    if prediction.box:
        boxes.append(("predicted-box", prediction.box))
    title, description = f"{when}: IoU {prediction.iou:.2f}", f"True box {true_corners}, {guess}."
    return "\n".join(
        [
            f"<figure>{boxed_picture(name, title, description, picture, size, boxes)}",
            f"<figcaption><b>{escape(when)}<br>IoU {prediction.iou:.2f}</b><br>true {true_corners}<br>"
            f"{escape(guess)}</figcaption></figure>",
        ]
    )


def embedded(name: str, encoded: bytes, size: tuple[int, int] | None = None) -> tuple[str, tuple[int, int]]:
    """A picture as an SVG element with the id `name`, and the size that it has there: its own, or the one given."""
    with Image.open(io.BytesIO(encoded)) as image:
        size = size or image.size
        source = _data_uri(image, encoded)
    style = "pixelated" if max(size) <= PIXEL_ART else "auto"
    element = f'<image id="{name}" width="{size[0]}" height="{size[1]}" preserveAspectRatio="none" href="{source}"'
    return f'{element} style="image-rendering:{style}"/>', size


def boxed_picture(
    name: str, title: str, description: str, picture: str, size: tuple[int, int], boxes: Sequence[tuple[str, Box]]
) -> str:
    """An SVG of a picture with boxes over it; a margin keeps a box on the picture's edge visible.

    Args:
        name: id on the page.
        title, description: for assistive technology.
        picture: SVG element.
        size: of the picture, in the unit of the boxes.
        boxes: style ("true-box", "predicted-box") and corners.
    """
    width, height = size
    margin = max(size) * 0.02
    view_box = f"{-margin:g} {-margin:g} {width + 2 * margin:g} {height + 2 * margin:g}"
    # Light halos below all lines, so that they stand out on any picture and none hides another where they agree.
    outlines = [_outline("halo", box) for _, box in boxes] + [_outline(style, box) for style, box in boxes]
    return "\n".join(
        [
            f'<svg viewBox="{view_box}" role="img" aria-labelledby="{name}-title {name}-desc">',
            f'<title id="{name}-title">{escape(title)}</title>',
            f'<desc id="{name}-desc">{escape(description)}</desc>',
            f"{picture}{''.join(outlines)}</svg>",
        ]
    )


def corners(box: Box) -> str:
    """A box as text."""
    return f"[{', '.join(f'{value:g}' for value in box)}]"


def _outline(style: str, box: Box) -> str:
    x1, y1, x2, y2 = (f"{value:g}" for value in box)
    return f'<path class="{style}" d="M{x1},{y1}H{x2}V{y2}H{x1}Z"/>'


def _data_uri(image: Image.Image, encoded: bytes) -> str:
    """The picture as a data URI, reduced to `EMBEDDED` pixels on the longer side where it is larger."""
    mime = Image.MIME[str(image.format)]
    if max(image.size) > EMBEDDED:
        reduced = image.convert("RGB")
        reduced.thumbnail((EMBEDDED, EMBEDDED))
        buffer = io.BytesIO()
        reduced.save(buffer, "JPEG", quality=85)
        mime, encoded = "image/jpeg", buffer.getvalue()
    return f"data:{mime};base64,{base64.b64encode(encoded).decode()}"
