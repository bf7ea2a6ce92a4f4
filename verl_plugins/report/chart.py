"""The curves of one metric, one for each run, as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data_prep.html import render
from verl_plugins.report.run_summary import number
from verl_plugins.report.ticks import ticks

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 58, WIDTH - 10, 26, HEIGHT - 40
FRAME = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
"""Size of a chart and of its axes, in pixels, as ``templates/axes.html`` and the charts' own templates read them."""
STYLES = 8
"""Number of styles of curves (colour, dash and marker), in the page's style sheet and here."""
MARKERS = 40  # points of a curve up to which each has a marker; of more, MARKERS // 4 spread over the curve
DRAWN = 500  # points of a curve up to which all are drawn; of more, the lowest and the highest in equal parts


@dataclass(frozen=True)
class Curve:
    """The values of one run.

    Args:
        run: name of the run, "" if there is only one.
        style: number of its style, from 0.
        points: (step, value), at least one, in order of step.
        alarms: (first step, last step, name) of the alarms to mark.
    """

    run: str
    style: int
    points: Sequence[tuple[int, float]]
    alarms: Sequence[tuple[int, int, str]] = ()


def line_chart(name: str, title: str, unit: str, curves: Sequence[Curve]) -> str:
    """Render curves on one pair of axes as an SVG element.

    Args:
        name: id on the page, letters and digits.
        title: what the curves show, for assistive technology.
        unit: label of the value axis.
        curves: at least one.
    """
    first, last, low, high = chart_range(curves)
    pixel_x = _scale(first, last, LEFT, RIGHT)
    pixel_y = _scale(low, high, BOTTOM, TOP)
    bands, sentences = [], []
    for curve in curves:
        sentences.append(_description(curve))
        for start, end, alarm in curve.alarms:
            if end < first or start > last:
                continue
            x, end_x = pixel_x(max(start, first)), pixel_x(min(end, last))
            steps = f"step {start}" + (f" to {end}" if end > start else "")
            band_title = f"{curve.run}: {alarm}, {steps}" if curve.run else f"{alarm}, {steps}"
            sentences.append(f"Alarm: {band_title}.")
            bands.append({"x": f"{x - 2:.1f}", "width": f"{end_x - x + 4:.1f}", "title": band_title})
    return render(
        "verl_plugins/report/templates/line_chart.html",
        name=name,
        title=title,
        description=" ".join(sentences),
        unit=unit,
        **FRAME,
        bands=bands,
        x_ticks=[{"x": f"{pixel_x(x):.1f}", "text": number(x)} for x in ticks(first, last, 6, whole=True)],
        y_ticks=[
            {"y": f"{pixel_y(y):.1f}", "baseline": f"{pixel_y(y) + 4:.1f}", "text": number(y)}
            for y in ticks(low, high, 5)
        ],
        curves=[_drawn(curve, pixel_x, pixel_y) for curve in curves],
    )


def chart_range(curves: Sequence[Curve]) -> tuple[float, float, float, float]:
    """Return first and last step, and the ends of the value axis: the values' range and a margin."""
    steps = [step for curve in curves for step, _ in curve.points]
    values = [value for curve in curves for _, value in curve.points]
    first, last, low, high = min(steps), max(steps), min(values), max(values)
    margin = 0.06 * (high - low) if high > low else abs(high) * 0.1 or 1.0  # a flat curve runs through the middle
    widen = 0.0 if last > first else 1.0
    return first - widen, last + widen, low - margin, high + margin


def marker(style: int, x: float, y: float) -> str:
    """SVG path data of a style's marker around a point: circle, square, triangle, diamond, and these open."""
    shapes = (
        f"M{x - 3:.1f},{y:.1f}a3,3 0 1 0 6,0a3,3 0 1 0 -6,0z",
        f"M{x - 2.7:.1f},{y - 2.7:.1f}h5.4v5.4h-5.4z",
        f"M{x:.1f},{y - 3.6:.1f}l3.4,6h-6.8z",
        f"M{x:.1f},{y - 3.8:.1f}l3.8,3.8l-3.8,3.8l-3.8,-3.8z",
    )
    return shapes[style % len(shapes)]


def _drawn(curve: Curve, pixel_x: Callable[[float], float], pixel_y: Callable[[float], float]) -> dict[str, Any]:
    points = list(curve.points)
    every = 1 if len(points) <= MARKERS else -(-len(points) // (MARKERS // 4))
    return {
        "style": curve.style,
        "line": " ".join(f"{pixel_x(x):.1f},{pixel_y(y):.1f}" for x, y in thinned(points, DRAWN)),
        "markers": "".join(marker(curve.style, pixel_x(x), pixel_y(y)) for x, y in points[::every]),
    }


def thinned(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Return at most about ``most`` points: the lowest and the highest of equal parts, in order; no peak is lost."""
    if len(points) <= most:
        return points
    size = -(-2 * len(points) // most)
    kept: list[tuple[int, float]] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept


def _description(curve: Curve) -> str:
    values = [value for _, value in curve.points]
    name = f"{curve.run}: " if curve.run else ""
    return (
        f"{name}{len(values)} points, steps {curve.points[0][0]} to {curve.points[-1][0]}, from {number(values[0])} to "
        f"{number(values[-1])}, minimum {number(min(values))}, maximum {number(max(values))}."
    )


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the linear map of [low, high] to [start, end]."""
    return lambda value: start + (value - low) / (high - low) * (end - start)
