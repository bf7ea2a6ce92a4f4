"""Histograms of IoU and score, those of several runs or steps side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.html import render
from reward_fns.boxes.reading import parse_gold
from verl_plugins.report.histogram import Histogram, histogram, histogram_chart, score_range
from verl_plugins.report.metrics import is_number, read_json_lines, steps_over_time
from verl_plugins.report.validation_rows import ValidationRows


@dataclass(frozen=True)
class Distribution:
    """One quantity of the same rows.

    Args:
        label: name of the quantity and the rows.
        unit: label of its axis.
        histograms: by what they are of, in the order in which they are drawn.
    """

    label: str
    unit: str
    histograms: Mapping[str, Histogram]


def iou_and_score(
    label: str, ious: Mapping[str, Sequence[float]], scores: Mapping[str, Sequence[float]]
) -> dict[str, Distribution]:
    """Return the distributions "iou" and "score" of some rows; a quantity without values is left out.

    Args:
        label: name of the rows, or "".
        ious: IoU of every row with boxes, by what they are of (such as "A" and "B").
        scores: score of every row, likewise. All are counted in the same bins.
    """
    suffix = f", {label}" if label else ""
    low, high = score_range([score for values in scores.values() for score in values])
    distributions = {}
    if any(ious.values()):
        histograms = {name: histogram(values) for name, values in ious.items()}
        distributions["iou"] = Distribution(f"IoU{suffix}", "IoU", histograms)
    if any(scores.values()):
        histograms = {name: histogram(values, low, high) for name, values in scores.items()}
        distributions["score"] = Distribution(f"Score{suffix}", "score", histograms)
    return distributions


def distributions_section(distributions: Sequence[Distribution], missing: str = "") -> str:
    """Render the histograms as HTML under a heading.

    Args:
        distributions: what to draw.
        missing: reason why there is nothing to draw, shown if there is nothing; without it the section is empty then.
    """
    if not distributions and not missing:
        return ""
    rows: list[list[dict[str, Any]]] = []
    single: list[dict[str, Any]] = []
    for place, distribution in enumerate(distributions):
        highest = max(max(each.counts) for each in distribution.histograms.values())
        charts = []
        for number, (caption, each) in enumerate(distribution.histograms.items()):
            title = f"{distribution.label}, {caption}" if caption else distribution.label
            svg = histogram_chart(f"bars{place}x{number}", title, distribution.unit, each, highest)
            charts.append({"label": title, "svg": svg, "total": sum(each.counts)})
        if len(charts) > 1:
            rows.append(charts)  # side by side, at any width of the page
        else:
            single += charts
    rows += [single] if single else []
    return render("verl_plugins/report/templates/distributions.html", rows=rows, missing=missing)


def validation_distributions(
    runs: Sequence[tuple[str, Path, int]], rows_of: Sequence[ValidationRows]
) -> list[Distribution]:
    """Return the distributions in the first and the last validation dump of each run, by data source.

    IoU is counted over the rows whose true answer is boxes. Dumps after a run's last step are left out: a resume threw
    them away.

    Args:
        runs: name, folder and last step of each run; the name of an only run is "".
        rows_of: rows of each run's validation files, which know the data source of a row. Rows that fit none of them
            are counted as "other rows"; without any source, all rows are one.
    """
    ious: dict[str, dict[str, list[float]]] = {}
    scores: dict[str, dict[str, list[float]]] = {}
    for (run, folder, last_step), rows in zip(runs, rows_of, strict=True):
        for step, path in steps_over_time(folder / "validation", last_step, most=2):
            name = f"{run}, step {step}" if run else f"step {step}"
            for row in read_json_lines(path)[0]:
                gold = row.get("gts")
                source = rows.source(str(row.get("input")), str(gold))
                if is_number(row.get("score")):
                    scores.setdefault(source, {}).setdefault(name, []).append(row["score"])
                if is_number(row.get("iou")) and isinstance(gold, str) and parse_gold(gold):
                    ious.setdefault(source, {}).setdefault(name, []).append(row["iou"])
    distributions = []
    for source in sorted({*ious, *scores}, key=lambda source: (source == "", source)):
        label = source if source or len({*ious, *scores}) == 1 else "other rows"
        distributions += iou_and_score(label, ious.get(source, {}), scores.get(source, {})).values()
    return distributions
