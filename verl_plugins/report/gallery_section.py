"""The gallery section: each image before and after training, with the true and the predicted box drawn over it."""

from typing import Any

from data_prep.html import render
from verl_plugins.report.embedded_image import corners, embed, outline
from verl_plugins.report.gallery import Card, Gallery, Prediction
from verl_plugins.report.run_summary import number


def gallery_section(gallery: Gallery) -> str:
    """Render the section as HTML: how the images were chosen, the legend, and one article per card."""
    return render(
        "verl_plugins/report/templates/gallery.html",
        gallery=gallery,
        before_iou=number(gallery.before_iou),
        after_iou=number(gallery.after_iou),
        left_out=gallery.rows - gallery.matched,
        cards=[_card(card, gallery) for card in gallery.cards],
    )


def _card(card: Card, gallery: Gallery) -> dict[str, Any]:
    extreme = {1: " (best)", gallery.matched: " (worst)"}.get(card.rank, "") if gallery.matched > 1 else ""
    change = card.after.iou - card.before.iou
    name = f"card{card.rank}"
    return {
        "question": card.question,
        "rank": f"Change in IoU {change:+.2f}, rank {card.rank} of {gallery.matched}{extreme}",
        "image": embed(name, card.image, card.size),
        "views": [
            _view(f"{name}-before", "Before", gallery.before_step, card.before),
            _view(f"{name}-after", "After", gallery.after_step, card.after),
        ],
    }


def _view(name: str, heading: str, step: int, prediction: Prediction) -> dict[str, Any]:
    """Return what the template shows of one response: the boxes over the image, the caption and the text."""
    when, iou = f"{heading}, step {step}", f"{prediction.iou:.2f}"
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
        "heading": heading,
        "response": prediction.text,
    }
