"""One curve as inline SVG; colours come from the page's style sheet, so that it follows light and dark mode."""

from collections.abc import Callable
from html import escape

from verl_plugins.report.run_summary import number

WIDTH, HEIGHT = 320, 210
LEFT, RIGHT, TOP, BOTTOM = 68, 8, 24, 42
DENSE = 80  # points; above it the dots show on hover only


def line_chart(
    name: str,
    title: str,
    unit: str,
    points: list[tuple[int, float]],
    alarms: list[tuple[int, int, str]] | None = None,
) -> str:
    """An SVG element: a line through (step, value) points with the range of both axes.

    Args:
        name: id on the page, letters and digits.
        title: what the curve is, for assistive technology.
        unit: label of the value axis.
        points: at least one, in order of step.
        alarms: (first step, last step, name) of the alarms to mark; what lies beyond the points is cut off.
    """
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    margin = 0.0 if high > low else abs(high) * 0.1 or 1.0  # a flat curve runs through the middle
    pixel_x = _scale(min(xs), max(xs), LEFT + 6, WIDTH - RIGHT - 6)
    pixel_y = _scale(low - margin, high + margin, HEIGHT - BOTTOM - 8, TOP + 8)
    line = " ".join(f"{pixel_x(x):.1f},{pixel_y(y):.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{pixel_x(x):.1f}" cy="{pixel_y(y):.1f}" r="2.5"><title>step {x}: {number(y)}</title></circle>'
        for x, y in points
    )
    description = f"{len(points)} points, steps {xs[0]} to {xs[-1]}. From {number(ys[0])} to {number(ys[-1])}, "
    description += f"minimum {number(low)}, maximum {number(high)}."
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    bands = []
    for first, last, alarm in alarms or []:
        if last < xs[0] or first > xs[-1]:
            continue
        start, end = pixel_x(max(first, xs[0])), pixel_x(min(last, xs[-1]))
        told = f"{alarm}, step {first}" + (f" to {last}" if last > first else "")
        description += f" Alarm: {told}."
        bands.append(
            f'<rect class="alarm" x="{start - 2:.1f}" y="{TOP}" width="{end - start + 4:.1f}" height="{bottom - TOP}">'
            f"<title>{escape(told)}</title></rect>"
        )
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title {name}-desc">',
            f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>',
            *bands,
            *(
                f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{pixel_y(y):.1f}" y2="{pixel_y(y):.1f}"/>'
                f'<text x="{LEFT - 6}" y="{pixel_y(y) + 4:.1f}" text-anchor="end">{number(y)}</text>'
                for y in sorted({low, high})
            ),
            f'<path class="axis" d="M{LEFT},{TOP}V{bottom}H{right}"/>',
            *(
                f'<text x="{pixel_x(x):.1f}" y="{bottom + 15}" text-anchor="middle">{x}</text>'
                for x in sorted({xs[0], xs[-1]})
            ),
            f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">training step</text>',
            f'<text x="{LEFT}" y="{TOP - 10}">{escape(unit)}</text>',
            f'<polyline class="curve" points="{line}"/>',
            f'<g class="dots{" dense" if len(points) > DENSE else ""}">{dots}</g>',
            "</svg>",
        ]
    )


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """The linear map of [low, high] to [start, end]; to the middle if the range is empty."""
    if high == low:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)
