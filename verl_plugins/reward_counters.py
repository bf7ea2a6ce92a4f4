"""What the reward functions could not score, as metrics: counts by data source and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

FAILURES = ("no_answer", "bad_format", "bad_gold", "timeout", "error")


def reward_counters(infos: Sequence[Mapping[str, Any]], data_sources: Sequence[str]) -> dict[str, int]:
    """How many of a step's responses each reward status was returned for.

    Args:
        infos: what the reward function returned for each response.
        data_sources: of each response.

    Returns:
        `reward/<data source>/<status>` to a number of responses, every status of FAILURES for every data source whose
        reward returns a `status`; `ok` is the rest.
    """
    counted = [
        (str(source), info["status"]) for source, info in zip(data_sources, infos, strict=True) if "status" in info
    ]
    counts = Counter(counted)
    sources = sorted({source for source, _ in counted})
    return {f"reward/{source}/{status}": counts[source, status] for source in sources for status in FAILURES}
