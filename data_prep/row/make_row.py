"""Makes a row of a sample and its images, after the checks that need both."""

from __future__ import annotations

from dataclasses import dataclass

from data_prep.row.boxes import boxes_json, fit_to_image
from data_prep.row.images import EncodedImage
from data_prep.row.prompts import PromptTemplate
from data_prep.row.texts import place_tags
from data_prep.types import Box, Rejection, Row, Sample


@dataclass(frozen=True)
class RowKind:
    """Values that all rows of a data set share.

    Args:
        data_source: name of the data set.
        ability: "grounding" or "math".
        template: messages of the prompt.
    """

    data_source: str
    ability: str
    template: PromptTemplate


def make_row(sample: Sample, images: list[EncodedImage], kind: RowKind, split: str, index: int) -> Row | Rejection:
    """Make a row with the fields of `row_schema()`, its images embedded (`bytes` set, `path` None).

    Boxes become JSON text in `reward_model.ground_truth`: xyxy, in pixels of the original image. `orig_w` and `orig_h`
    are the size of the first image; `image_sha256` has a hash for each image, separated by spaces.

    Args:
        sample: the question and its answer.
        images: the images of the sample, in order.
        kind: values that all rows share.
        split: name of the split.
        index: position of the raw row in its split.
    """
    if not images:
        return Rejection("text_only")
    first = images[0]
    if sample.size not in (None, (first.width, first.height)):
        return Rejection("image_size_disagrees", f"got {first.width} x {first.height}, the data set says {sample.size}")
    if isinstance(sample.gold, str):
        gold = sample.gold
    else:
        boxes = _in_pixels(sample.gold, sample.box_scale, first)
        if isinstance(boxes, Rejection):
            return boxes
        gold = boxes_json(boxes)
    question = place_tags(sample.question, len(images))
    if isinstance(question, Rejection):
        return question
    return {
        "data_source": kind.data_source,
        "prompt": kind.template.messages(question),
        "images": [{"bytes": image.data, "path": None} for image in images],
        "ability": kind.ability,
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {
            "split": split,
            "index": index,
            "id": sample.id,
            "question": question.replace("<image>", "").strip(),
            "answer": sample.answer,
            "orig_w": first.width,
            "orig_h": first.height,
            "image_sha256": " ".join(image.sha256 for image in images),
            "subject": sample.subject,
            "choices": None if sample.choices is None else list(sample.choices),
        },
    }


def _in_pixels(boxes: tuple[Box, ...], scale: float | None, image: EncodedImage) -> list[Box] | Rejection:
    """Return the boxes in pixels of the image, cut off at its edges; `scale` as `Sample.box_scale`."""
    x_factor, y_factor = (1.0, 1.0) if scale is None else (image.width / scale, image.height / scale)
    fitted = []
    for x1, y1, x2, y2 in boxes:
        box = (x1 * x_factor, y1 * y_factor, x2 * x_factor, y2 * y_factor)
        box = fit_to_image(box, image.width, image.height)
        if isinstance(box, Rejection):
            return box
        fitted.append(box)
    return fitted
