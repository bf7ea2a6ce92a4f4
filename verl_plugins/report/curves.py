"""The sections of charts: the quantities that every run has, then one section for each method."""

from typing import Any

from data_prep.html import render
from verl_plugins.report.alarms import spans_on
from verl_plugins.report.chart import line_chart
from verl_plugins.report.metrics import is_number, series
from verl_plugins.report.quantities import QUANTITIES, find, method_keys, metric_keys
from verl_plugins.report.run_summary import number, step_list


def curve_sections(steps: list[dict], alarms: dict[str, list[tuple[int, int]]]) -> str:
    """Render as HTML the charts of `QUANTITIES`, those of every method, and the names of what was not logged."""
    keys = metric_keys(steps)
    sections: dict[str, list[tuple[str, str, str]]] = {}
    missing = []
    for quantity in QUANTITIES:
        if quantity.is_chart:
            matches = find(quantity, keys)
            missing += [] if matches else [quantity.label]
            sections.setdefault(quantity.section, []).extend((label, key, quantity.unit) for label, key in matches)
    for method, names in method_keys(keys).items():
        sections[f"Method: {method}"] = [(name.partition("/")[2].replace("_", " "), name, "value") for name in names]
    charts = [
        (title, [_chart(f"chart{place}x{i}", steps, alarms, *each) for i, each in enumerate(curves)])
        for place, (title, curves) in enumerate(sections.items())
        if curves
    ]
    return render("verl_plugins/report/templates/curves.html", sections=charts, missing=missing)


def _chart(
    name: str, steps: list[dict], alarms: dict[str, list[tuple[int, int]]], label: str, key: str, unit: str
) -> dict[str, Any]:
    points = series(steps, key)
    undefined = [row["step"] for row in steps if key in row and not is_number(row[key])]
    last = f"Last: {number(points[-1][1])} at step {points[-1][0]}. " if points else ""
    svg = line_chart(name, label, unit, points, spans_on(key, alarms)) if points else ""
    return {"label": label, "key": key, "svg": svg, "last": last, "undefined": step_list(undefined)}
