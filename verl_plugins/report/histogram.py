"""Histograms: counts of values in equal bins, and their drawing as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_prep.html import render
from verl_plugins.report.chart import BOTTOM, FRAME, LEFT, RIGHT, TOP
from verl_plugins.report.run_summary import number

BINS = 20
_ROUNDING = 1e-9  # of a bin's width: a score of 0.7 + 0.1 is 0.7999… in floating point


@dataclass(frozen=True)
class Histogram:
    """Counts of values in equal bins.

    Args:
        low, high: range of the bins.
        counts: number of values in each bin. A value on the edge of two counts in the upper one; ``high`` counts in the
            last.
    """

    low: float
    high: float
    counts: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {"low": self.low, "high": self.high, "counts": list(self.counts)}


def histogram(values: Sequence[float], low: float = 0.0, high: float = 1.0) -> Histogram:
    """Count finite values in `BINS` equal bins; values outside [low, high] count in the first or the last bin."""
    counts = [0] * BINS
    for value in filter(math.isfinite, values):
        position = (value - low) / (high - low) * BINS + _ROUNDING
        counts[min(max(math.floor(position), 0), BINS - 1)] += 1
    return Histogram(low, high, tuple(counts))


def score_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of a histogram of scores: whole numbers that enclose [0, 1] and all finite values."""
    values = [*filter(math.isfinite, values)]
    return float(math.floor(min([0.0, *values]))), float(math.ceil(max([1.0, *values])))


def histogram_chart(name: str, title: str, unit: str, bars: Histogram, highest: int | None = None) -> str:
    """Render a histogram as an SVG element.

    Args:
        name: id on the page, letters and digits.
        title: what the bars show, for assistive technology.
        unit: label of the horizontal axis.
        bars: the counts.
        highest: count at the top of the vertical axis, the same for charts side by side; the largest count if None.
    """
    highest = max(1, *bars.counts) if highest is None else max(1, highest)
    width, step = (RIGHT - LEFT) / BINS, (bars.high - bars.low) / BINS
    drawn = []
    for place, count in enumerate(bars.counts):
        height = count / highest * (BOTTOM - TOP)
        start, end = bars.low + place * step, bars.low + (place + 1) * step
        drawn.append(
            {
                "x": f"{LEFT + place * width + 0.5:.1f}",
                "y": f"{BOTTOM - height:.1f}",
                "width": f"{width - 1:.1f}",
                "height": f"{height:.1f}",
                "title": f"{number(start)} to {number(end)}: {count:,}",
            }
        )
    total = sum(bars.counts)
    middle = (bars.low + bars.high) / 2
    return render(
        "verl_plugins/report/templates/histogram.html",
        name=name,
        title=title,
        description=f"{total:,} values in {BINS} bins from {number(bars.low)} to {number(bars.high)}: "
        + ", ".join(map(str, bars.counts))
        + ".",
        unit=unit,
        **FRAME,
        bars=drawn,
        x_ticks=[
            {"x": f"{x:.1f}", "text": number(value)}
            for x, value in ((LEFT, bars.low), ((LEFT + RIGHT) / 2, middle), (RIGHT, bars.high))
        ],
        y_ticks=[{"y": y, "baseline": y + 4, "text": text} for y, text in ((TOP, f"{highest:,}"), (BOTTOM, "0"))],
    )
