"""What stands between a raw data set and a row: the raw row, what a format reads from it, and why one is rejected."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

Box = tuple[float, float, float, float]

# Path of a plain file, (zip archive, member), or a place in a parquet file (see `data_prep.raw.parquet_files`), as JSON
# values only.
Location = Any

REASONS = {
    "answer_disagrees": "two fields of the row give different answers",
    "answer_empty": "no answer",
    "answer_in_parts": "several answers in one, which no rule can check",
    "answer_too_long": "a solution instead of an answer, which no rule can check",
    "box_disagrees": "two fields of the row give different boxes",
    "box_malformed": "the box is not four finite numbers",
    "box_not_in_pixels": "the box is relative (0 to 1), not in pixels",
    "box_outside_image": "the box reaches past the edge by more than jitter: another space, or another image",
    "box_without_area": "the box has no width or no height inside the image",
    "choice_out_of_range": "the answer's letter names no choice",
    "conversation_malformed": "no single question of a user in the conversation",
    "duplicate": "the same row, id included, came before in this split",
    "image_aspect": "one side is more than 200 times the other, which Qwen-VL refuses",
    "image_ambiguous": "several different files fit the image's name",
    "image_corrupt": "the image cannot be decoded to its end",
    "image_missing": "no file fits the image's name, or the row names none",
    "image_size_disagrees": "the image is not of the size that the box was drawn on",
    "image_tags": "the text has another number of <image> tags than the row has images",
    "image_too_large": "more pixels than Pillow agrees to decode",
    "image_too_small": "a side of less than 28 pixels, one token of Qwen-VL",
    "json_malformed": "the line, or a field that should hold JSON, is not JSON",
    "question_empty": "no question, or no expression",
    "row_malformed": "the row lacks a field, or holds another type there",
    "split_unknown": "the row does not say which split it is of",
    "text_only": "the row has a blank picture, or none, and nothing to look at",
    "unexpected_error": "an error that no rule foresaw; `detail` says which",
    "unknown_annotation": "the annotation's id is not among the instances",
    "unknown_image": "the image's id is not among the instances",
}


@dataclass(frozen=True)
class Reject:
    """Why a raw row becomes no row: a key of REASONS, and what was seen."""

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        assert self.reason in REASONS, self.reason


@dataclass(frozen=True, slots=True)  # all raw rows of a data set are held at once
class RawRow:
    """One raw row as it was found, image bytes excepted.

    Args:
        split: name of the file it goes to.
        source: where it was found, for the reject report: file, line or id.
        data: the fields, as JSON text.
        group: rows of one group show the same image, and are kept together.
        block: rows of one block can be read together; "" for images that lie in files of their own.
        identity: rows of one identity say the same; b"" where nothing tells.
    """

    split: str
    source: str
    data: bytes
    group: str
    block: str = ""
    identity: bytes = b""


@dataclass(frozen=True)
class RejectedRow:
    """A raw row that was rejected, with its source."""

    split: str
    source: str
    reject: Reject

    def line(self) -> str:
        """Its line of rejects.jsonl."""
        fields = {"split": self.split, "source": self.source, "reason": self.reject.reason}
        return json.dumps({**fields, "detail": self.reject.detail}) + "\n"


@dataclass(frozen=True)
class Sample:
    """What a format reads from a raw row.

    Args:
        id: the data set's own.
        question: text; a maths question may have <image> tags.
        answer: as the data set gives it.
        gold: what the reward compares with: a box, xyxy in pixels, or the text of the answer.
        images: where they are.
        size: width and height of the image that the box was drawn on, in pixels, if the data set tells.
        subject: what a question is about, if the data set tells.
        choices: of a multiple choice, in the order of their letters, if the data set has them apart.
    """

    id: str
    question: str
    answer: str
    gold: Box | str
    images: tuple[Location, ...]
    size: tuple[int, int] | None = None
    subject: str | None = None
    choices: tuple[str, ...] | None = None


def raw_row(
    split: str, source: str, fields: dict[str, Any], group: str, block: str = "", same: tuple[str, ...] = ()
) -> RawRow:
    """A raw row of these fields; what JSON cannot say (dates, bytes) becomes text.

    Args:
        split, source, group, block: as in RawRow.
        fields: the raw row.
        same: what makes another row a duplicate, the id first; none if the row has no id.
    """
    identity = hashlib.blake2b("\0".join(same).encode("utf-8", "replace"), digest_size=16).digest()
    data = json.dumps(fields, default=str).encode()
    return RawRow(split, source, data, group, block, identity if same and same[0] else b"")
