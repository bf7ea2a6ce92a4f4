"""Types that all of data_prep shares: the raw row, the sample that a raw form reads from it, and the rejection."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]  # with the fields of `data_prep.row.schema.row_schema`

Box = tuple[float, float, float, float]

# Path of a plain file, or [zip archive, member], or a place in a parquet file (see `data_prep.raw.parquet_files`) or in
# a table (a dict of `table`, `block`, `row`, `field` and `item`: see `data_prep.raw.tables` and `.image_values`).
# It consists of JSON values only.
Location = Any

REASONS = {
    "answer_disagrees": "two fields of the row give different answers",
    "answer_empty": "no answer",
    "answer_in_parts": "several answers in one, which no rule can check",
    "answer_no_choice": "the answer is neither one of the choices nor the letter of one",
    "answer_not_unique": "one of several right answers, which no rule can check",
    "answer_too_long": "a solution instead of an answer, which no rule can check",
    "box_disagrees": "two fields of the row give different boxes",
    "box_malformed": "the box is not four finite numbers",
    "box_not_in_pixels": "the box is relative (0 to 1), not in pixels",
    "box_outside_image": "the box reaches past the edge by more than jitter: another space, or another image",
    "box_without_area": "the box has no width or no height inside the image",
    "choice_out_of_range": "the answer's letter names no choice",
    "conversation_malformed": "no single question of a user in the conversation",
    "duplicate": "the same row, id and pictures included, came before in this split",
    "file_unreadable": "the row's file, or its member of an archive, cannot be read",
    "image_ambiguous": "several different files fit the image's name",
    "image_aspect": "one side is more than 200 times the other, which Qwen-VL refuses",
    "image_corrupt": "the image cannot be decoded to its end",
    "image_excluded": "the image stands in a file of --exclude",
    "image_missing": "no file fits the image's name, or the row names none",
    "image_size_disagrees": "the image is not of the size that the box was drawn on",
    "image_tags": "the text has another number of <image> tags than the row has images",
    "image_too_large": "more pixels than Pillow agrees to decode",
    "image_too_small": "a side of less than --min-side pixels",
    "json_malformed": "the line, or a field that should hold JSON, is not JSON",
    "question_empty": "no question, or no expression",
    "row_malformed": "the row lacks a field, or holds another type there",
    "split_unknown": "the row does not say which split it is of",
    "text_only": "the row has a blank picture, or none, and nothing to look at",
    "unearnable_gold": "the reward does not accept its own gold answer; --keep-unearnable keeps such rows",
    "unexpected_error": "an error that no rule foresaw; `detail` says which",
    "unknown_annotation": "the annotation's id is not among the instances",
    "unknown_image": "the image's id is not among the instances",
}


@dataclass(frozen=True)
class Rejection:
    """Why a raw row is not converted.

    Args:
        reason: a key of REASONS.
        detail: the offending value.
    """

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        assert self.reason in REASONS, self.reason


@dataclass(frozen=True, slots=True)  # slots: all raw rows of a data set are in memory at once
class RawRow:
    """One row of a raw data set, without the bytes of its images.

    Args:
        split: name of its split.
        source: file and line, or id, for rejects.jsonl.
        data: its fields, as JSON text.
        group: rows of one group show the same image and are written next to each other.
        block: rows of one block are read together; "" for rows whose images are separate files.
        identity: rows of one identity are duplicates; b"" if the row has no id to tell by.
    """

    split: str
    source: str
    data: bytes
    group: str
    block: str = ""
    identity: bytes = b""


@dataclass(frozen=True)
class RejectedRow:
    """A rejected raw row: its split, its source as in RawRow, and the rejection."""

    split: str
    source: str
    rejection: Rejection

    def line(self) -> str:
        """Return its line of rejects.jsonl."""
        fields = {"split": self.split, "source": self.source, "reason": self.rejection.reason}
        return json.dumps({**fields, "detail": self.rejection.detail}) + "\n"


@dataclass(frozen=True)
class Sample:
    """A question, its answer and its images, as a raw form reads them from a raw row.

    Args:
        id: the id that the data set gives.
        question: text; a maths question may have <image> tags.
        answer: the answer as the data set writes it.
        gold: the answer that the reward compares with: a text, or boxes (xyxy); no boxes mean "no object".
        images: locations of the images; boxes are drawn on the first.
        size: width and height, in pixels, of the image that the box was drawn on; None if unknown.
        subject: subject of the question; None if unknown.
        choices: choices of a multiple-choice question, in the order of their letters; None if they are not listed.
        box_scale: length of the image's sides in the unit of the boxes, such as 1000; None if they are in pixels.
    """

    id: str
    question: str
    answer: str
    gold: tuple[Box, ...] | str
    images: tuple[Location, ...]
    size: tuple[int, int] | None = None
    subject: str | None = None
    choices: tuple[str, ...] | None = None
    box_scale: float | None = None


def raw_row(
    split: str, source: str, fields: dict[str, Any], group: str, block: str = "", same: tuple[str, ...] = ()
) -> RawRow:
    """Build a raw row; values that JSON does not have (dates, bytes) become text.

    Args:
        split, source, group, block: as in RawRow.
        fields: the fields of the row.
        same: the values that two duplicates have in common, the id first; empty if the row has no id.
    """
    identity = hashlib.blake2b("\0".join(same).encode("utf-8", "replace"), digest_size=16).digest()
    data = json.dumps(fields, default=str).encode()
    return RawRow(split, source, data, group, block, identity if same and same[0] else b"")
