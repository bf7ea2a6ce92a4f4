"""Cards of answers for a results page: images with boxes, prompt, gold answer, response and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.types import Row
from reward_fns.boxes.reading import parse_gold
from verl_plugins.evaluate.data_rows import DataFile, read_rows
from verl_plugins.evaluate.format import UnusableRow
from verl_plugins.evaluate.scoring import Line
from verl_plugins.evaluate.store import Key
from verl_plugins.evaluate.summary import by_group
from verl_plugins.report.embedded_image import corners, embed, outline
from verl_plugins.report.metrics import spread

SHOWN = 16  # wins, and failures
_LONGEST = 4000  # characters of a response on the page


def select_lines(lines: Sequence[Line]) -> list[Line]:
    """Select at most SHOWN lines, the same number from each data source, evenly spaced within it."""
    groups = by_group(lines, lambda line: line["data_source"])
    share = max(2, SHOWN // max(1, len(groups)))
    return [group[number] for group in groups.values() for number in spread(len(group), share)]


def load_rows(data: Sequence[DataFile | None], keys: Sequence[Key]) -> dict[Key, Row]:
    """Read the rows with these keys, images included; rows of missing files (None) are left out."""
    rows: dict[Key, Row] = {}
    for number, file in enumerate(data):
        row_numbers = sorted({row for file_number, row in keys if file_number == number})
        if row_numbers and file is not None:
            for row_number, row in zip(row_numbers, read_rows(file, row_numbers), strict=True):
                if not isinstance(row, UnusableRow):
                    rows[number, row_number] = row
    return rows


def result_card(row: Row | None, answers: Mapping[str, Line], scores: str, name: str) -> dict[str, Any]:
    """Return the values that the template `result_cards.html` shows of one row.

    Args:
        row: the row of the data; None if it could not be read, which leaves out its prompt and images.
        answers: lines of results of this row by the heading of their response.
        scores: the answers' scores, in a sentence.
        name: id on the page.
    """
    lines = list(answers.values())
    return {
        "question": lines[0]["question"],
        "images": [] if row is None else _images(row, lines, name),
        "scores": scores,
        "prompt": None if row is None else _prompt(row),
        "responses": {heading: _shortened(line["response"]) for heading, line in answers.items()},
    }


def score_summary(line: Line) -> str:
    """Describe in a sentence how an answer scored."""
    overlap, boxes = "", ""
    if line["kind"] == "grounding":
        overlap = f"IoU {line['iou']:.3f}, "
        boxes = f" Found {' '.join(map(corners, line['boxes']))}." if line["boxes"] else " Found no box."
    return f"{overlap}score {line['score']:.3f}, status {line['status']}. True: {line['gold']}.{boxes}"


def _images(row: Row, lines: Sequence[Line], name: str) -> list[dict[str, Any]]:
    """Return the row's images. The first has one drawing per line, with that line's true and predicted boxes."""
    info = row["extra_info"]
    size = (info["orig_w"], info["orig_h"]) if info.get("orig_w") and info.get("orig_h") else None
    images: list[dict[str, Any]] = []
    for number, image in enumerate(row["images"]):
        is_first = number == 0
        try:
            data = image["bytes"] or Path(image["path"]).read_bytes()
            embedded = embed(f"{name}-{number}", data, size if is_first else None)
        except Exception as error:  # a row that could not be asked because of its image is among the failures
            images.append({"problem": f"{type(error).__name__}: {error}"[:200]})
            continue
        drawings = [
            {
                "name": f"{name}-{number}-{place}",
                "title": line["question"],
                "description": score_summary(line),
                "boxes": _boxes(line) if is_first else [],
            }
            for place, line in enumerate(lines if is_first else lines[:1])
        ]
        images.append({"problem": "", "embedded": embedded, "drawings": drawings})
    return images


def _prompt(row: Row) -> str:
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in row["prompt"])


def _boxes(line: Line) -> list[tuple[str, str]]:
    """Return (style, SVG path data) of the true and the predicted boxes; none for an answer that is no box."""
    if line["kind"] != "grounding":
        return []
    true_boxes = [("true-box", outline(box)) for box in parse_gold(line["gold"] or "") or []]
    return true_boxes + [("predicted-box", outline(box)) for box in line["boxes"] or []]


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
