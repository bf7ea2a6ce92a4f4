"""From a sample and its pictures to the row on disk: the last checks that need both."""

from __future__ import annotations

from dataclasses import dataclass

from data_prep.row.boxes import box_json, fit_to_image
from data_prep.row.images import Picture
from data_prep.row.prompts import fill
from data_prep.row.schema import Row
from data_prep.row.texts import place_tags
from data_prep.types import Reject, Sample


@dataclass(frozen=True)
class RowKind:
    """What all rows of a data set share: its name, "grounding" or "math", and the template's text."""

    data_source: str
    ability: str
    template: str


def make_row(sample: Sample, pictures: list[Picture], kind: RowKind, split: str, index: int) -> Row | Reject:
    """A dict of `data_prep.row.schema.row_schema()`, its images still to be placed (`bytes` set, `path` None).

    With a box, `reward_model.ground_truth` is JSON text of xyxy in pixels of the original image. `orig_w` and `orig_h`
    are the first image's; `image_sha256` has one hash for each image, separated by blanks.
    """
    if not pictures:
        return Reject("text_only")
    first = pictures[0]
    if sample.size not in (None, (first.width, first.height)):
        return Reject("image_size_disagrees", f"got {first.width} x {first.height}, the data set says {sample.size}")
    if isinstance(sample.gold, str):
        gold = sample.gold
    else:
        box = fit_to_image(sample.gold, first.width, first.height)
        if isinstance(box, Reject):
            return box
        gold = box_json(box)
    question = place_tags(sample.question, len(pictures))
    if isinstance(question, Reject):
        return question
    return {
        "data_source": kind.data_source,
        "prompt": [{"role": "user", "content": fill(kind.template, question)}],
        "images": [{"bytes": picture.data, "path": None} for picture in pictures],
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
            "image_sha256": " ".join(picture.sha256 for picture in pictures),
            "subject": sample.subject,
            "choices": None if sample.choices is None else list(sample.choices),
        },
    }
