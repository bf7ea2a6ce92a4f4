"""The sections of charts: the quantities that every run has, then one section for each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from data_prep.html import render
from verl_plugins.report.alarms import spans_on
from verl_plugins.report.chart import FRAME, Curve, chart_range, line_chart
from verl_plugins.report.loaded_run import LoadedRun
from verl_plugins.report.metric_meanings import meaning_of
from verl_plugins.report.metrics import is_number, series
from verl_plugins.report.quantities import QUANTITIES, Quantity, find, method_keys, metric_keys
from verl_plugins.report.run_summary import best_point, number, step_list


class _Chart(NamedTuple):
    label: str
    key: str
    unit: str
    text: str
    quantity: Quantity | None = None


def curve_sections(runs: Sequence[LoadedRun]) -> tuple[str, dict[str, Any]]:
    """Render as HTML the charts of `QUANTITIES`, those of every method, and the names of what was not logged.

    Charts whose values never change, and those without a number, are folded away.

    Returns:
        The HTML, and the values of the charts by their ids, for the page's script.
    """
    keys = sorted({key for run in runs for key in metric_keys(run.log.steps)})
    sections: dict[str, list[_Chart]] = {}
    missing = []
    for quantity in QUANTITIES:
        if quantity.is_chart:
            matches = find(quantity, keys)
            missing += [] if matches else [quantity.label]
            for label, key in matches:
                chart = _Chart(label, key, quantity.unit, quantity.text, quantity)
                sections.setdefault(quantity.section, []).append(chart)
    for method, names in method_keys(keys).items():
        for name in names:
            chart = _Chart(name.partition("/")[2].replace("_", " ").replace("/", ", "), name, *meaning_of(name))
            sections.setdefault(f"Method: {method}", []).append(chart)
    drawn, values = [], {}
    for place, (title, charts) in enumerate(sections.items()):
        shown, folded = [], []
        for number_, chart in enumerate(charts):
            curves = _curves(runs, chart.key)
            name = f"chart{place}x{number_}"
            (folded if _is_flat(curves) else shown).append(_figure(name, chart, curves, runs))
            if curves:
                values[name] = _values(chart, curves)
        drawn.append({"title": title, "charts": shown, "folded": folded})
    return render("verl_plugins/report/templates/curves.html", sections=drawn, missing=missing), values


def _curves(runs: Sequence[LoadedRun], key: str) -> list[Curve]:
    return [
        Curve(run.name, run.style, points, spans_on(key, run.alarms))
        for run in runs
        if (points := series(run.log.steps, key))
    ]


def _is_flat(curves: Sequence[Curve]) -> bool:
    """Tell whether there is nothing to see: no number, or the same one in all steps, of which there are several."""
    values = [value for curve in curves for _, value in curve.points]
    return not values or (len(set(values)) == 1 and max(len(curve.points) for curve in curves) > 1)


def _figure(name: str, chart: _Chart, curves: Sequence[Curve], runs: Sequence[LoadedRun]) -> dict[str, Any]:
    lines = []
    for curve in curves:
        step, value = curve.points[-1]
        best = best_point(chart.quantity, curve.points) if chart.quantity else None
        line = f"Last: {number(value)} at step {step}"
        line += f"; best: {number(best[1])} at step {best[0]}" if best else ""
        lines.append({"run": curve.run, "style": curve.style, "text": f"{line}."})
    undefined = []
    for run in runs:
        steps = [row["step"] for row in run.log.steps if chart.key in row and not is_number(row[chart.key])]
        if steps:
            undefined.append(f"{run.name + ': not' if run.name else 'Not'} a number at step {step_list(steps)}.")
    svg = line_chart(name, chart.label, chart.unit, curves) if curves else ""
    return {
        "name": name,
        "label": chart.label,
        "key": chart.key,
        "text": chart.text,
        "svg": svg,
        "lines": lines,
        "undefined": undefined,
    }


def _values(chart: _Chart, curves: Sequence[Curve]) -> dict[str, Any]:
    first, last, low, high = chart_range(curves)
    return {
        "label": chart.label,
        "key": chart.key,
        "unit": chart.unit,
        "x": [first, last],
        "y": [low, high],
        "frame": FRAME,
        "curves": [
            {
                "run": curve.run,
                "style": curve.style,
                "steps": [step for step, _ in curve.points],
                "values": [float(f"{value:.6g}") for _, value in curve.points],
            }
            for curve in curves
        ],
    }
