"""A line of a stage's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One measurement.

    Args:
        what: was measured.
        figure: as the page prints it, with its unit; for a line that was not run, the reason.
        expected: the limit, or what to compare with, as the page prints it; "" for none.
        is_ok: whether the limit holds; None where there is none.
        was_run: False for what this device cannot run.
        raw: the numbers behind ``figure``, for page.json; seconds, bytes, nats or counts, as their names say.
    """

    what: str
    figure: str
    expected: str = ""
    is_ok: bool | None = None
    was_run: bool = True
    raw: Mapping[str, float] = field(default_factory=dict)


def not_run(what: str, reason: str) -> Line:
    """The line of what this device cannot run."""
    return Line(what, reason, was_run=False)
