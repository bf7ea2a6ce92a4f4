"""Select validation rows to show over the course of training, and load their images.

A row that does not match exactly one row of the validation files is left out and counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from data_prep.look.reading import rows_at
from reward_fns import grounding
from reward_fns.boxes.box import Box
from reward_fns.boxes.reading import parse_gold
from verl_plugins.report.metrics import is_number, read_json_lines, spread, steps_over_time
from verl_plugins.report.validation_rows import ValidationRow, ValidationRows

CARDS = 8
DUMPS = 4  # validations that a card shows


@dataclass(frozen=True)
class Prediction:
    """One response: its text, its box if it has one, the true box, and the reward's `iou` and `status`.

    Boxes are xyxy in pixels of the original image.
    """

    text: str
    box: Box | None
    true_box: Box
    iou: float
    status: str


@dataclass(frozen=True)
class Card:
    """One validation image. `rank` counts from 1, the best change in IoU.

    `image` is an encoded image, possibly a reduced copy. `size` is the width and height of the original in pixels,
    None if the row does not have them. `views` holds the prediction at each of the gallery's steps.
    """

    question: str
    image: bytes
    size: tuple[int, int] | None
    views: list[Prediction]
    rank: int

    @property
    def change(self) -> float:
        """IoU at the last step minus that at the first."""
        return self.views[-1].iou - self.views[0].iou


@dataclass(frozen=True)
class Gallery:
    """The selected cards, and the rows they were selected from.

    steps: the steps of the dumps, the first and the last validation included.
    ious: by step, the mean IoU over the rows that occur in all of these dumps.
    rows: number of these rows.
    matched: number of these that match exactly one row of the validation files; the ranks run from 1 to `matched`.
    unreadable_lines: number of lines in the dumps that are no JSON object.
    """

    cards: list[Card]
    steps: list[int]
    ious: list[float]
    rows: int
    matched: int
    unreadable_lines: int


class _Response(NamedTuple):
    text: str
    true_box: Box
    iou: float
    status: str


class _Row(NamedTuple):
    question: str
    image: bytes
    extra_info: dict[str, Any]

    @property
    def size(self) -> tuple[int, int] | None:
        width, height = self.extra_info.get("orig_w"), self.extra_info.get("orig_h")
        return (width, height) if width and height else None


def load_gallery(
    run_dir: Path, rows: ValidationRows, last_step: int, settings: Mapping[str, Any] = {}
) -> Gallery | str:
    """Return the gallery of a run, or a sentence that says why there is none.

    Args:
        run_dir: directory of the run, with the dumps in `validation`.
        rows: rows of the run's validation files.
        last_step: last step in the metrics. Later dumps are not read: a resume threw away the work that wrote them.
        settings: settings of the run's grounding reward, which say how a response writes boxes, and in which space.
    """
    dumps = steps_over_time(run_dir / "validation", last_step, DUMPS)
    if len(dumps) < 2:
        return f"A comparison needs two validation dumps in {run_dir.name}/validation; found {len(dumps)}."
    steps, responses, torn = [step for step, _ in dumps], [], 0
    for _, path in dumps:
        by_row, unreadable = _responses(path)
        responses.append(by_row)
        torn += unreadable
    shared = sorted(set.intersection(*(set(each) for each in responses)))
    if not shared:
        return f"No prompt with a box and an IoU occurs in every dump, of step {', '.join(map(str, steps))}."
    row_of = {key: row for key in shared if (row := rows.find(*key))}
    names = ", ".join(path.name for path in rows.files)
    if not row_of:
        return f"None of the {len(shared)} validation prompts fits exactly one row of {names}."
    ranked = sorted(row_of, key=lambda key: (responses[0][key].iou - responses[-1][key].iou, key))
    ranks = spread(len(ranked), CARDS)
    shown = _load_rows(rows.files, {row_of[ranked[rank]] for rank in ranks})
    if len(shown) < len(ranks):
        return f"{names}: no image for {len(ranks) - len(shown)} of the rows to show."
    cards = []
    for rank in ranks:
        key = ranked[rank]
        row = shown[row_of[key]]
        views = [_prediction(each[key], row.extra_info, settings) for each in responses]
        cards.append(Card(row.question, row.image, row.size, views, rank=rank + 1))
    ious = [fmean(each[key].iou for key in shared) for each in responses]
    return Gallery(cards, steps, ious, rows=len(shared), matched=len(ranked), unreadable_lines=torn)


def _responses(path: Path) -> tuple[dict[tuple[str, str], _Response], int]:
    """Return the first response with one box and an IoU by (prompt, ground truth), and the number of bad lines."""
    rows, unreadable = read_json_lines(path)
    first: dict[tuple[str, str], _Response] = {}
    for row in rows:
        prompt, gold, text = row.get("input"), row.get("gts"), row.get("output")
        if not (isinstance(prompt, str) and isinstance(gold, str) and isinstance(text, str)):
            continue
        true_box = _only(parse_gold(gold))
        if true_box and is_number(row.get("iou")):
            response = _Response(text, true_box, float(row["iou"]), str(row.get("status", "unknown")))
            first.setdefault((prompt, gold), response)
    return first, unreadable


def _prediction(response: _Response, extra_info: Mapping[str, Any], settings: Mapping[str, Any]) -> Prediction:
    try:
        boxes = grounding.find_boxes(response.text, extra_info, **settings)
    except ValueError:  # the reward reported and counted it; the card shows the status
        boxes = None
    return Prediction(response.text, _only(boxes), response.true_box, response.iou, response.status)


def _only(boxes: list[Box] | None) -> Box | None:
    return boxes[0] if boxes and len(boxes) == 1 else None


def _load_rows(files: list[Path], wanted: set[ValidationRow]) -> dict[ValidationRow, _Row]:
    """Read the wanted rows that have an image, either in the file or at a path."""
    rows = {}
    for number, path in enumerate(files):
        of_file = {row.index: row for row in wanted if row.file == number}
        for index, row in rows_at(pq.ParquetFile(path), set(of_file), columns=["images", "extra_info"]):
            image = _image(row["images"][0]) if row["images"] else None
            if image:
                rows[of_file[index]] = _Row(row["extra_info"]["question"], image, row["extra_info"])
    return rows


def _image(cell: Mapping[str, Any]) -> bytes | None:
    if cell["bytes"]:
        return cell["bytes"]
    path = Path(str(cell.get("path")).removeprefix("file://"))
    return path.read_bytes() if path.is_file() else None
