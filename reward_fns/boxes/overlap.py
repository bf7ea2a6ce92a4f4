"""How far two boxes overlap, and the mean of that over the best matching of several boxes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from reward_fns.boxes.box import Box, LabelledBox, area
from reward_fns.boxes.matching import best_matching

AnyBox = TypeVar("AnyBox", Box, LabelledBox)


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, in [0, 1]; 0 if neither has an area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    union = area(a) + area(b) - intersection
    return min(1.0, intersection / union) if union > 0 else 0.0


def giou_score(a: Box, b: Box) -> float:
    """Return (1 + GIoU) / 2 of two boxes, in [0, 1]; 0 if the box around both has no area.

        GIoU = IoU - (C - U) / C        U: area of the union, C: area of the smallest box around both

    GIoU is in [-1, 1]. Unlike IoU it tells near misses from far ones: it falls as two disjoint boxes move apart. It
    equals IoU if one box contains the other, so even a box around the whole image scores at least 0.5 here.

    Source: Rezatofighi et al. 2019, "Generalized Intersection over Union", arXiv 1902.09630, algorithm 1.
    """
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    around = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    if around <= 0:
        return 0.0
    intersection = width * height if width > 0 and height > 0 else 0.0
    union = area(a) + area(b) - intersection
    overlap = intersection / union if union > 0 else 0.0
    return min(1.0, max(0.0, (overlap + union / around) / 2))  # 1 + GIoU = IoU + U / C


MEASURES: dict[str, Callable[[Box, Box], float]] = {"iou": iou, "giou": giou_score}


def if_labels_match(measure: Callable[[Box, Box], float]) -> Callable[[LabelledBox, LabelledBox], float]:
    """Return the measure for boxes with labels: 0 for two different labels, in which case and spaces do not count."""

    def measure_if_labels_match(a: LabelledBox, b: LabelledBox) -> float:
        return measure(a[0], b[0]) if _plain_label(a[1]) == _plain_label(b[1]) else 0.0

    return measure_if_labels_match


def mean_overlap(
    predicted: Sequence[AnyBox],
    gold: Sequence[AnyBox],
    extra_box_penalty: float,
    measure: Callable[[AnyBox, AnyBox], float],
) -> float:
    """Return the mean overlap, in [0, 1], of the best one-to-one matching of predicted and gold boxes.

        sum of the matched overlaps / (gold boxes + extra_box_penalty * max(0, predicted boxes - gold boxes))

    A gold box without a partner counts 0. If both lists are empty, the result is 1; if only one is, 0.

    Args:
        predicted, gold: boxes in the same space.
        extra_box_penalty: weight of each predicted box in excess of the gold boxes.
        measure: overlap of two boxes, in [0, 1].
    """
    if not predicted or not gold:
        return float(not predicted and not gold)
    if len(predicted) == len(gold) == 1:
        return measure(predicted[0], gold[0])
    overlaps = [[measure(a, b) for b in predicted] for a in gold]
    extra = max(0, len(predicted) - len(gold))
    return min(1.0, best_matching(overlaps) / (len(gold) + extra_box_penalty * extra))


def _plain_label(label: str | None) -> str | None:
    return None if label is None else " ".join(label.casefold().split())
