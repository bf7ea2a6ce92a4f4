"""Visual grounding reward: overlap of one predicted box with the true box, plus a bonus for a well-formed answer.

    score = IoU(pred, gold) + format_weight * format

Use: `reward.custom_reward_function.path=reward_fns/grounding.py`, weight by `…reward_kwargs.format_weight=0.5`.

- `format` is 1 when the response has exactly one `<answer>…</answer>` and it holds one box; think tags are optional.
- A response with several answer blocks earns no format bonus; the last one is its final answer and earns its IoU.
- A box is a JSON list of four numbers, a JSON object with `bbox_2d`, either of them alone in a list, or plain text with
  exactly four numbers. A code fence around it is removed. Swapped corners are put in order.
- Predictions are read as pixels of the original image: nothing is rescaled here.
- A gold box that cannot be parsed or has no area earns nothing, whatever the response: `status` says `bad_gold`.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

import json
import re

Box = tuple[float, float, float, float]

_OPEN, _CLOSE = "<answer>", "</answer>"
_FENCE = re.compile(r"```\w*(.*?)```", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MAX_COORDINATE = 1e7  # pixels; larger than any image, small enough that areas stay finite


def compute_score(data_source, solution_str, ground_truth, extra_info=None, *, format_weight=0.5, **kwargs) -> dict:
    """Score one response; never raises.

    Args:
        data_source: name of the data set; unused, part of verl's signature.
        solution_str: decoded response text.
        ground_truth: JSON string `[x1, y1, x2, y2]` in original pixels.
        extra_info: the row's `extra_info`; unused.
        format_weight: value of a well-formed answer (0.5 in ECVGPO, 1.0 in VLM-R1).
        **kwargs: whatever else the reward manager passes; unused.

    Returns:
        Always the keys `score` in [0, 1 + format_weight], `accuracy` (1.0 if IoU > 0.5), `format` (0.0 or 1.0),
        `iou` in [0, 1], and `status`, one of ok / no_answer / bad_format / bad_gold / error.
    """
    try:
        gold = _gold_box(ground_truth)
        if gold is None:
            return _result("bad_gold")
        answer, is_single = final_answer(solution_str)
        if answer is None:
            return _result("no_answer")
        box = parse_box(answer)
        if box is None:
            return _result("bad_format")
        overlap = iou(box, gold)
        if not is_single:
            return _result("bad_format", score=overlap, overlap=overlap)
        return _result("ok", score=overlap + float(format_weight), overlap=overlap, is_well_formed=True)
    except Exception:  # a reward that raises kills its rollout, and the group shrinks without a word
        return _result("error")


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two xyxy boxes with ordered corners, in [0, 1]; 0 if neither has an area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    union = _area(a) + _area(b) - intersection
    return min(1.0, intersection / union) if union > 0 else 0.0


def final_answer(text: str) -> tuple[str | None, bool]:
    """The text of the last complete answer block, or None, and whether it is the only one."""
    head, closed, _ = text.rpartition(_CLOSE)
    _, opened, answer = head.rpartition(_OPEN)
    is_single = text.count(_OPEN) == 1 and text.count(_CLOSE) == 1
    return (answer if closed and opened else None), is_single


def parse_box(text: str) -> Box | None:
    """The one box written in the text of an answer, corners in order, or None if there is none or more than one."""
    fence = _FENCE.search(text)
    text = (fence.group(1) if fence else text).strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _box([float(number) for number in _NUMBER.findall(text)])
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("bbox_2d")
    return _box(value)


def _gold_box(ground_truth: str) -> Box | None:
    try:
        box = _box(json.loads(ground_truth))
    except (TypeError, ValueError, RecursionError):
        return None
    return box if box and _area(box) > 0 else None


def _box(value: object) -> Box | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    if any(isinstance(v, bool) or not isinstance(v, int | float) or not abs(v) <= _MAX_COORDINATE for v in value):
        return None
    x1, y1, x2, y2 = (float(v) for v in value)
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _result(status: str, *, score: float = 0.0, overlap: float = 0.0, is_well_formed: bool = False) -> dict:
    return {
        "score": score,
        "accuracy": float(overlap > 0.5),
        "format": float(is_well_formed),
        "iou": overlap,
        "status": status,
    }
