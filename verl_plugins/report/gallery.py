"""Select validation rows to show before and after training, and load their images.

verl's validation dumps hold text only, and every validation draws new values of `uid`. A row is therefore identified
across dumps by its prompt and ground truth, and matched to the validation file by its ground truth and question.
A row that does not match exactly one row of the file is left out and counted.
"""

from collections import defaultdict
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
from verl_plugins.report.metrics import is_number, read_json_lines

CARDS = 8


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
    None if the row does not have them.
    """

    question: str
    image: bytes
    size: tuple[int, int] | None
    before: Prediction
    after: Prediction
    rank: int


@dataclass(frozen=True)
class Gallery:
    """The selected cards, and the rows they were selected from.

    before_step, after_step: the steps of the two dumps.
    before_iou, after_iou: mean IoU over the rows that occur in both dumps.
    rows: number of these rows.
    matched: number of these that match exactly one row of the validation file; the ranks run from 1 to `matched`.
    unreadable_lines: number of lines in the two dumps that are no JSON object.
    """

    cards: list[Card]
    before_step: int
    after_step: int
    before_iou: float
    after_iou: float
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


def load_gallery(run_dir: Path, val_file: Path, last_step: int, settings: Mapping[str, Any] = {}) -> Gallery | str:
    """Return the gallery of a run, or a sentence that says why there is none.

    Args:
        run_dir: directory of the run, with the dumps in `validation`.
        val_file: validation file of the run.
        last_step: last step in the metrics. Later dumps are not read: a resume threw away the work that wrote them.
        settings: settings of the run's grounding reward, which say how a response writes boxes, and in which space.

    Raises:
        FileNotFoundError: there are dumps to match, and the validation file is missing.
    """
    dumps = sorted((int(path.stem), path) for path in (run_dir / "validation").glob("*.jsonl") if path.stem.isdecimal())
    dumps = [(step, path) for step, path in dumps if step <= last_step]
    if len(dumps) < 2:
        return f"A comparison needs two validation dumps in {run_dir.name}/validation; found {len(dumps)}."
    (before_step, before_path), (after_step, after_path) = dumps[0], dumps[-1]
    before, torn_before = _responses(before_path)
    after, torn_after = _responses(after_path)
    shared = sorted(before.keys() & after.keys())
    if not shared:
        return f"No prompt with a box and an IoU occurs in both dumps, of step {before_step} and step {after_step}."
    index_of = _match(shared, val_file)
    if not index_of:
        return f"None of the {len(shared)} validation prompts fits exactly one row of {val_file.name}."
    ranked = sorted(index_of, key=lambda key: (before[key].iou - after[key].iou, key))
    ranks = spread(len(ranked), CARDS)
    rows = _rows(val_file, {index_of[ranked[rank]] for rank in ranks})
    if len(rows) < len(ranks):
        return f"{val_file.name} holds no image for {len(ranks) - len(rows)} of the rows to show."
    cards = []
    for rank in ranks:
        key = ranked[rank]
        row = rows[index_of[key]]
        pair = (_prediction(each[key], row.extra_info, settings) for each in (before, after))
        cards.append(Card(row.question, row.image, row.size, *pair, rank=rank + 1))
    return Gallery(
        cards=cards,
        before_step=before_step,
        after_step=after_step,
        before_iou=fmean(before[key].iou for key in shared),
        after_iou=fmean(after[key].iou for key in shared),
        rows=len(shared),
        matched=len(ranked),
        unreadable_lines=torn_before + torn_after,
    )


def spread(total: int, count: int) -> list[int]:
    """Return at most `count` evenly spaced indices from 0 to total − 1, both included: 16, 4 → 0, 5, 10, 15."""
    if total <= count:
        return list(range(total))
    return [round(i * (total - 1) / (count - 1)) for i in range(count)]


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


def _match(keys: list[tuple[str, str]], val_file: Path) -> dict[tuple[str, str], int]:
    """Return the row number in the validation file of every key that matches exactly one row."""
    table = pq.read_table(val_file, columns=["reward_model", "extra_info"])
    questions = defaultdict(list)
    for index, row in enumerate(table.to_pylist()):
        question = row["extra_info"].get("question")
        if question:
            questions[row["reward_model"]["ground_truth"]].append((index, question))
    index_of = {}
    for prompt, gold in keys:
        matches = [index for index, question in questions[gold] if question in prompt]
        if len(matches) == 1:
            index_of[prompt, gold] = matches[0]
    return index_of


def _rows(val_file: Path, indices: set[int]) -> dict[int, _Row]:
    """Read the rows with these indices that have an image, either in the file or at a path."""
    rows = {}
    for index, row in rows_at(pq.ParquetFile(val_file), indices, columns=["images", "extra_info"]):
        image = _image(row["images"][0]) if row["images"] else None
        if image:
            rows[index] = _Row(row["extra_info"]["question"], image, row["extra_info"])
    return rows


def _image(cell: Mapping[str, Any]) -> bytes | None:
    if cell["bytes"]:
        return cell["bytes"]
    path = Path(str(cell.get("path")).removeprefix("file://"))
    return path.read_bytes() if path.is_file() else None
