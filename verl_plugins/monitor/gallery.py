"""Choose validation images to show before and after training, and find each one's picture.

verl's validation dumps hold text only, and their `uid` is drawn anew in every validation. A row is therefore followed
from dump to dump by its prompt and ground truth, and matched to the validation file by its ground truth and question.
Where that does not point to exactly one row of the file, the row is left out and counted.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pyarrow.parquet as pq

from data_prep.reading import rows_at
from reward_fns.boxes import Box, parse_boxes, parse_gold
from reward_fns.forms import last_answer
from verl_plugins.monitor.metrics import is_number, read_json_lines

CARDS = 8


@dataclass(frozen=True)
class Prediction:
    """One response: its text, the box in it if any, the true box, and the reward's `iou` and `status`. xyxy, pixels."""

    text: str
    box: Box | None
    true_box: Box
    iou: float
    status: str


@dataclass(frozen=True)
class Card:
    """One validation image. `image` is an encoded picture; `rank` counts from 1, the best change in IoU."""

    question: str
    image: bytes
    before: Prediction
    after: Prediction
    rank: int


@dataclass(frozen=True)
class Gallery:
    """The chosen cards and what they were chosen from.

    before_step, after_step: the steps of the two dumps.
    before_iou, after_iou: mean IoU over all `rows` rows that occur in both dumps.
    matched: how many of these fit exactly one row of the validation file; the cards' ranks run from 1 to `matched`.
    unreadable_lines: lines of the two dumps that are no JSON object.
    """

    cards: list[Card]
    before_step: int
    after_step: int
    before_iou: float
    after_iou: float
    rows: int
    matched: int
    unreadable_lines: int


def load_gallery(run_dir: Path, val_file: Path, last_step: int) -> Gallery | str:
    """The gallery of a run, or the reason why there is none, as a sentence.

    Dumps after `last_step`, the last step in the metrics, were left by work that a resume threw away: not read.

    Raises:
        FileNotFoundError: the validation file is missing where there are dumps to match with it.
    """
    dumps = sorted((int(path.stem), path) for path in (run_dir / "validation").glob("*.jsonl") if path.stem.isdecimal())
    dumps = [(step, path) for step, path in dumps if step <= last_step]
    if len(dumps) < 2:
        return f"A comparison needs two validation dumps in {run_dir.name}/validation; found {len(dumps)}."
    (before_step, before_path), (after_step, after_path) = dumps[0], dumps[-1]
    before, torn_before = _predictions(before_path)
    after, torn_after = _predictions(after_path)
    shared = sorted(before.keys() & after.keys())
    if not shared:
        return f"No prompt with a box and an IoU occurs in both dumps, of step {before_step} and step {after_step}."
    index_of = _match(shared, val_file)
    if not index_of:
        return f"None of the {len(shared)} validation prompts fits exactly one row of {val_file.name}."
    ranked = sorted(index_of, key=lambda key: (before[key].iou - after[key].iou, key))
    ranks = spread(len(ranked), CARDS)
    pictures = _pictures(val_file, {index_of[ranked[rank]] for rank in ranks})
    if len(pictures) < len(ranks):
        return f"{val_file.name} holds no image bytes for {len(ranks) - len(pictures)} of the rows to show."
    cards = [
        Card(*pictures[index_of[key]], before[key], after[key], rank + 1)
        for rank, key in ((rank, ranked[rank]) for rank in ranks)
    ]
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


def spread(total: int, wanted: int) -> list[int]:
    """At most `wanted` indices, evenly spaced from 0 to total − 1, both ends included: 16, 4 → 0, 5, 10, 15."""
    if total <= wanted:
        return list(range(total))
    return [round(i * (total - 1) / (wanted - 1)) for i in range(wanted)]


def _predictions(path: Path) -> tuple[dict[tuple[str, str], Prediction], int]:
    """The first response to each (prompt, ground truth) with one box and an IoU, and the number of unreadable lines."""
    rows, unreadable = read_json_lines(path)
    first: dict[tuple[str, str], Prediction] = {}
    for row in rows:
        prompt, gold, text = row.get("input"), row.get("gts"), row.get("output")
        if not (isinstance(prompt, str) and isinstance(gold, str) and isinstance(text, str)):
            continue
        true_box = _only(parse_gold(gold))
        if true_box and is_number(row.get("iou")):
            box = _only(parse_boxes(last_answer(text) or ""))
            prediction = Prediction(text, box, true_box, float(row["iou"]), str(row.get("status", "unknown")))
            first.setdefault((prompt, gold), prediction)
    return first, unreadable


def _only(boxes: list[Box] | None) -> Box | None:
    return boxes[0] if boxes and len(boxes) == 1 else None


def _match(keys: list[tuple[str, str]], val_file: Path) -> dict[tuple[str, str], int]:
    """The row number in the validation file for every key that fits exactly one row."""
    table = pq.read_table(val_file, columns=["reward_model", "extra_info"])
    questions = defaultdict(list)
    for index, row in enumerate(table.to_pylist()):
        question = row["extra_info"].get("question")
        if question:
            questions[row["reward_model"]["ground_truth"]].append((index, question))
    found = {}
    for prompt, gold in keys:
        fits = [index for index, question in questions[gold] if question in prompt]
        if len(fits) == 1:
            found[prompt, gold] = fits[0]
    return found


def _pictures(val_file: Path, wanted: set[int]) -> dict[int, tuple[str, bytes]]:
    """Question and first image of the wanted rows that have one."""
    rows = rows_at(pq.ParquetFile(val_file), wanted, columns=["images", "extra_info"])
    shown = ((index, row["extra_info"]["question"], row["images"]) for index, row in rows)
    return {index: (question, images[0]["bytes"]) for index, question, images in shown if images and images[0]["bytes"]}
