"""From a response to a line of results: the reward of training, or the rule of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.schema import Row
from reward_fns import auto, grounding
from reward_fns.plain_answers import answer_type
from verl_plugins.evaluate.format import DataFormat, UnusableRow
from verl_plugins.evaluate.responder import Response

REJECTED = "rejected"  # the status of rows that are not asked and count nowhere; all others count
Line = dict[str, Any]


def result_line(row: Row, response: Response, form: DataFormat, reward: Mapping[str, Any]) -> Line:
    """The line of a row that was to be asked.

    `kind` is "grounding" or "answer"; `boxes`, of grounding alone, are the predicted ones in original pixels, or None.
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
    return line


def rejected_line(reject: UnusableRow) -> Line:
    """The line of a raw row that its reader rejected."""
    return {"status": REJECTED, "reason": reject.reason, "detail": reject.detail}
