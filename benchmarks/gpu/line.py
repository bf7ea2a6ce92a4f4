"""Lines of the stages' tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One measurement.

    Args:
        what: name of the measurement.
        figure: the result as printed on the page, with its unit; for a line that was not run, the reason.
        expected: limit or value for comparison, as printed on the page; "" for none.
        is_ok: whether the limit holds; None if there is none.
        was_run: False if this device cannot run it.
        raw: numbers behind ``figure``, for page.json, in seconds, bytes, nats or counts according to their names.
    """

    what: str
    figure: str
    expected: str = ""
    is_ok: bool | None = None
    was_run: bool = True
    raw: Mapping[str, float] = field(default_factory=dict)


def not_run(what: str, reason: str) -> Line:
    """Make the line of a measurement that this device cannot run."""
    return Line(what, reason, was_run=False)
