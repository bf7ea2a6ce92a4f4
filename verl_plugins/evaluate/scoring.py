"""Lines of results: responses scored by the reward of training or by the rule of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.types import Row
from reward_fns import auto, grounding
from reward_fns.answers import answer_type
from verl_plugins.evaluate.format import DataFormat, UnusableRow
from verl_plugins.evaluate.responder import Response

REJECTED = "rejected"  # status of rows that are not asked and not counted; rows of every other status count
Line = dict[str, Any]


def result_line(row: Row, response: Response, form: DataFormat, reward: Mapping[str, Any]) -> Line:
    """Score a response and return its line of results.

    `kind` is "grounding" or "answer". Lines of grounding also have `boxes`: the predicted boxes in pixels of the
    original image, or None if the response has none. Lines of attacked images have `pixel_change`.
    """
    info, gold = row["extra_info"], row["reward_model"].get("ground_truth")
    source = str(row["data_source"])
    kind = (
        "grounding" if form.score is None and auto.reward_of(source, reward.get("routes")) == "grounding" else "answer"
    )
    line = {
        "data_source": source,
        "split": str(info.get("split") or ""),
        "id": str(info.get("id") or ""),
        "kind": kind,
        "subject": str(info.get("subject") or ""),
        "type": str(info.get("type") or (answer_type(gold) if kind == "answer" and gold else "")),
        "question": str(info.get("question") or ""),
        "gold": gold,
        "response": response.text,
        "tokens": response.tokens,
        "finish": response.finish,
    }
    if response.problem:
        scored = {"score": 0.0, "accuracy": 0.0, "format": 0.0, "iou": 0.0, "status": response.problem}
    elif form.score is None:
        scored = auto.compute_score(source, response.text, gold, info, **reward)
    else:
        scored = {"iou": 0.0, **form.score(response.text, row)}
    line |= {key: scored[key] for key in ("score", "accuracy", "format", "iou", "status")}
    if kind == "grounding":
        is_read = not response.problem and scored["status"] != "error"
        line["boxes"] = grounding.find_boxes(response.text, info, **reward.get("grounding", {})) if is_read else None
    if response.pixel_change is not None:
        line["pixel_change"] = response.pixel_change
    return line


def rejected_line(reject: UnusableRow) -> Line:
    """Return the line of a raw row that cannot be evaluated."""
    return {"status": REJECTED, "reason": reject.reason, "detail": reject.detail}
