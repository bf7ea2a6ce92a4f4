"""The gallery section: each image at several validations, with the true and the predicted box drawn over it."""

from typing import Any

from data_prep.html import render
from verl_plugins.report.embedded_image import corners, embed, outline
from verl_plugins.report.gallery import Card, Gallery, Prediction
from verl_plugins.report.run_summary import number


def gallery_section(gallery: Gallery, prefix: str = "") -> str:
    """Render the section as HTML: how the images were chosen, the legend, and one article per card.

    Args:
        gallery: what to show.
        prefix: begins the ids of the images, so that a page can hold several galleries.
    """
    ious = [f"{number(iou)} at step {step}" for iou, step in zip(gallery.ious, gallery.steps, strict=True)]
    return render(
        "verl_plugins/report/templates/gallery.html",
        gallery=gallery,
        ious=ious,
        left_out=gallery.rows - gallery.matched,
        cards=[_card(card, gallery, prefix) for card in gallery.cards],
    )


def _card(card: Card, gallery: Gallery, prefix: str) -> dict[str, Any]:
    extreme = {1: " (best)", gallery.matched: " (worst)"}.get(card.rank, "") if gallery.matched > 1 else ""
    name = f"{prefix}card{card.rank}"
    return {
        "question": card.question,
        "rank": f"Change in IoU {card.change:+.2f}, rank {card.rank} of {gallery.matched}{extreme}",
        "image": embed(name, card.image, card.size),
        "views": [_view(f"{name}-{step}", step, view) for step, view in zip(gallery.steps, card.views, strict=True)],
    }


def _view(name: str, step: int, prediction: Prediction) -> dict[str, Any]:
    """Return what the template shows of one response: the boxes over the image, the caption and the text."""
    when, iou = f"Step {step}", f"{prediction.iou:.2f}"
    true_box = corners(prediction.true_box)
    boxes = [("true-box", outline(prediction.true_box))]
    if prediction.box:
        boxes.append(("predicted-box", outline(prediction.box)))
    predicted = f"predicted {corners(prediction.box)}" if prediction.box else f"no box ({prediction.status})"
    return {
        "name": name,
        "title": f"{when}: IoU {iou}",
        "description": f"True box {true_box}, {predicted}.",
        "boxes": boxes,
        "when": when,
        "iou": iou,
        "true_box": true_box,
        "predicted": predicted,
        "response": prediction.text,
    }
