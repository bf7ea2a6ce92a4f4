"""Unit and meaning of the metrics that the methods log, from the file ``metrics.yaml`` beside each method's code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

_METHODS = Path(__file__).parents[1] / "methods"
_PART = {
    "clean": "of the responses to the clean image",
    "adversarial": "of the responses to the adversarial image",
    "noisy": "of the responses to the noisy image",
    "kept": "over the tokens that were kept",
    "dropped": "over the tokens that were dropped",
    "reshaped": "over the tokens that were reshaped",
}
"""Endings of names, of metrics that are logged for parts of the batch."""


class Meaning(NamedTuple):
    """Explains one metric.

    Args:
        unit: label of the value axis.
        text: what the metric is, as one sentence.
    """

    unit: str
    text: str


def meaning_of(metric: str) -> Meaning:
    """Return the unit and meaning of a method's metric; of one that is not known, the unit "value" and no text."""
    meanings = _meanings()
    if metric in meanings:
        return meanings[metric]
    ending = re.search(r"_([a-z]+)$", metric)
    whole = meanings.get(metric[: ending.start()]) if ending else None
    if ending and whole and ending[1] in _PART:
        return Meaning(whole.unit, f"{whole.text.removesuffix('.')}, {_PART[ending[1]]}.")
    return Meaning("value", "")


@cache
def _meanings() -> dict[str, Meaning]:
    """Read every method's file; importing a method would import torch."""
    return {
        f"{path.parent.name}/{name}": Meaning(**fields)
        for path in sorted(_METHODS.glob("*/metrics.yaml"))
        for name, fields in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    }
