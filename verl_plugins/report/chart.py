"""One curve as inline SVG."""

from collections.abc import Callable, Sequence

from data_prep.html import render
from verl_plugins.report.run_summary import number

WIDTH, HEIGHT = 320, 210
LEFT, RIGHT, TOP, BOTTOM = 68, WIDTH - 8, 24, HEIGHT - 42
FRAME = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
"""Size of a chart and of its axes, in pixels, as ``templates/axes.html`` and the charts' own templates read them."""
DENSE = 80  # points; above it the dots show on hover only


def line_chart(
    name: str,
    title: str,
    unit: str,
    points: list[tuple[int, float]],
    alarms: Sequence[tuple[int, int, str]] = (),
) -> str:
    """Render a line through (step, value) points, with the range of both axes, as an SVG element.

    Args:
        name: id on the page, letters and digits.
        title: what the curve shows, for assistive technology.
        unit: label of the value axis.
        points: at least one, in order of step.
        alarms: (first step, last step, name) of the alarms to mark; steps beyond the points are cut off.
    """
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    margin = 0.0 if high > low else abs(high) * 0.1 or 1.0  # a flat curve runs through the middle
    pixel_x = _scale(min(xs), max(xs), LEFT + 6, RIGHT - 6)
    pixel_y = _scale(low - margin, high + margin, BOTTOM - 8, TOP + 8)
    description = f"{len(points)} points, steps {xs[0]} to {xs[-1]}. From {number(ys[0])} to {number(ys[-1])}, "
    description += f"minimum {number(low)}, maximum {number(high)}."
    bands = []
    for first, last, alarm in alarms:
        if last < xs[0] or first > xs[-1]:
            continue
        start, end = pixel_x(max(first, xs[0])), pixel_x(min(last, xs[-1]))
        band_title = f"{alarm}, step {first}" + (f" to {last}" if last > first else "")
        description += f" Alarm: {band_title}."
        bands.append({"x": f"{start - 2:.1f}", "width": f"{end - start + 4:.1f}", "title": band_title})
    return render(
        "verl_plugins/report/templates/line_chart.html",
        name=name,
        title=title,
        description=description,
        unit=unit,
        **FRAME,
        bands=bands,
        x_ticks=[{"x": f"{pixel_x(x):.1f}", "text": x} for x in sorted({xs[0], xs[-1]})],
        y_ticks=[
            {"y": f"{pixel_y(y):.1f}", "baseline": f"{pixel_y(y) + 4:.1f}", "text": number(y)}
            for y in sorted({low, high})
        ],
        line=" ".join(f"{pixel_x(x):.1f},{pixel_y(y):.1f}" for x, y in points),
        is_dense=len(points) > DENSE,
        dots=[
            {"x": f"{pixel_x(x):.1f}", "y": f"{pixel_y(y):.1f}", "title": f"step {x}: {number(y)}"} for x, y in points
        ],
    )


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the linear map of [low, high] to [start, end]; to the middle if the range is empty."""
    if high == low:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)
