"""What the reward functions say of a step's responses, as metrics by data source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from numbers import Real
from statistics import fmean
from typing import Any

FAILURES = ("no_answer", "bad_format", "bad_gold", "timeout", "error")


def reward_metrics(infos: Sequence[Mapping[str, Any]], data_sources: Sequence[str]) -> dict[str, float]:
    """How many of a step's responses are right, and how many could not be scored.

    Args:
        infos: what the reward function returned for each response.
        data_sources: of each response.

    Returns:
        For every data source whose reward returns a `status`: `reward/<data source>/accuracy`, the mean of the
        reward's `accuracy` (a share; left out where one is no number), which no format moves as it moves the score;
        and `reward/<data source>/<status>`, a number of responses, for every status of FAILURES; `ok` is the rest.
    """
    by_source = defaultdict(list)
    for source, info in zip(data_sources, infos, strict=True):
        if "status" in info:
            by_source[str(source)].append(info)
    metrics: dict[str, float] = {}
    for source, rows in sorted(by_source.items()):
        right = [row["accuracy"] for row in rows if isinstance(row.get("accuracy"), Real)]
        if len(right) == len(rows):
            metrics[f"reward/{source}/accuracy"] = fmean(right)
        metrics |= {f"reward/{source}/{status}": sum(row["status"] == status for row in rows) for status in FAILURES}
    return metrics
