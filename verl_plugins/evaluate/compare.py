"""Comparison of two evaluations row by row: differences with intervals, and paired exact and permutation tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from verl_plugins.evaluate import intervals
from verl_plugins.evaluate.attack_settings import attack_label
from verl_plugins.evaluate.comparison_page import comparison_page
from verl_plugins.evaluate.results_folder import output_folder, read_facts, read_results
from verl_plugins.evaluate.scoring import REJECTED, Line
from verl_plugins.evaluate.summary import Table, line_distributions, plain
from verl_plugins.report.distributions import Distribution

Pair = tuple[Line, Line]


def compare_runs(first: Path, second: Path, out: Path | None) -> int:
    """Print the comparison and return the exit code; with `out`, write `comparison.json` and `comparison.html` there.

    Raises:
        SystemExit: a folder holds no evaluation, or the two have no row in common.
    """
    facts = read_facts(first), read_facts(second)
    pairs, alone = pair_lines(first, second)
    if not pairs:
        raise SystemExit(
            f"{first}, {second}: got no row that both evaluated, expected evaluations of the same data files"
        )
    if out is not None:
        output_folder(out)
    groups = comparison(pairs)
    tables = comparison_tables(groups)
    models = _models(facts)
    print(f"A: {models[0]}\nB: {models[1]}")
    print(f"{len(pairs):,} rows in both" + (f", {alone:,} in one alone, left out" if alone else ""))
    differing = [name for name in facts[0]["settings"] if facts[0]["settings"][name] != facts[1]["settings"].get(name)]
    if differing:
        print(f"different settings: {', '.join(differing)}")
    for title, rows in tables.items():
        print(f"\n{title}\n{plain(rows)}")
    if out is not None:
        result = {"a": facts[0], "b": facts[1], "rows": len(pairs), "rows_in_one_alone": alone, "groups": groups}
        write_atomically(out / "comparison.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        compared = {"A": models[0], "B": models[1], "Rows in both": f"{len(pairs):,}"}
        page = comparison_page(compared, tables, comparison_distributions(pairs), pairs, facts[0]["data"])
        write_atomically(out / "comparison.html", page)
        print(f"\npage        {out / 'comparison.html'}\nnumbers     {out / 'comparison.json'}")
    return 0


def _models(facts: Sequence[dict[str, Any]]) -> list[str]:
    """Return the path of each evaluation's model, with the attack on the images if there was one in either."""
    paths = [each["model"]["path"] for each in facts]
    if not any("attack" in each for each in facts):
        return paths
    return [
        f"{path} (attack on the images: {attack_label(each.get('attack'))})"
        for path, each in zip(paths, facts, strict=True)
    ]


def pair_lines(first: Path, second: Path) -> tuple[list[Pair], int]:
    """Pair the lines of two results folders that are about the same row, and count the rows that only one has."""
    line_of_row = []
    for folder in (first, second):
        facts = read_facts(folder)
        data, lines = facts["data"], (line for line in read_results(folder, facts) if line["status"] != REJECTED)
        line_of_row.append({(data[line["file"]]["sha256"], line["row"]): line for line in lines})
    a, b = line_of_row
    shared = [row for row in a if row in b]
    return [(a[row], b[row]) for row in shared], len(a) + len(b) - 2 * len(shared)


def comparison(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the accuracy, and the IoU of boxes, of both evaluations and their difference, by data source.

    A group `all` is added if there are several data sources.
    """
    numbers = {}
    for name, group in _groups(pairs).items():
        numbers[name] = {"accuracy": _accuracy(group)}
        boxes = [pair for pair in group if pair[0]["kind"] == "grounding"]
        if boxes:
            numbers[name]["iou"] = _iou(boxes)
        numbers[name]["histograms"] = {
            quantity: {run.lower(): bars.as_json() for run, bars in each.histograms.items()}
            for quantity, each in _distributions(name, group).items()
        }
    return numbers


def comparison_distributions(pairs: Sequence[Pair]) -> list[Distribution]:
    """Return the distributions of IoU and score in both evaluations, by data source."""
    groups = _groups(pairs)
    return [each for name, group in groups.items() for each in _distributions(name, group).values()]


def _distributions(name: str, pairs: Sequence[Pair]) -> dict[str, Distribution]:
    return line_distributions(name, {"A": [a for a, _ in pairs], "B": [b for _, b in pairs]})


def _groups(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair[0]["data_source"], []).append(pair)
    if len(groups) > 1:
        groups["all"] = list(pairs)
    return groups


def comparison_tables(groups: dict[str, Any]) -> dict[str, Table]:
    """Format the result of `comparison` as tables by title."""
    accuracy = [["data", "n", "A", "B", "B - A", "only B right", "only A right", "p (McNemar, exact)"]]
    iou = [["data", "n", "A", "B", "B - A", "p (paired permutation)"]]
    for name, group in groups.items():
        numbers = group["accuracy"]
        cells = [f"{numbers['n']:,}", f"{numbers['a']:.4f}", f"{numbers['b']:.4f}", _cell(numbers["difference"])]
        accuracy.append([name, *cells, f"{numbers['gained']:,}", f"{numbers['lost']:,}", f"{numbers['p']:.3g}"])
        if "iou" in group:
            numbers = group["iou"]
            cells = [f"{numbers['n']:,}", f"{numbers['a']:.4f}", f"{numbers['b']:.4f}", _cell(numbers["difference"])]
            iou.append([name, *cells, f"{numbers['p']:.3g}"])
    tables = {"Accuracy (boxes: IoU > 0.5)": accuracy, "Mean IoU": iou}
    return {title: rows for title, rows in tables.items() if len(rows) > 1}


def _accuracy(pairs: Sequence[Pair]) -> dict[str, Any]:
    right = [(a["accuracy"] == 1.0, b["accuracy"] == 1.0) for a, b in pairs]
    gained, lost = sum(b and not a for a, b in right), sum(a and not b for a, b in right)
    return {
        "n": len(pairs),
        "a": sum(a for a, _ in right) / len(pairs),
        "b": sum(b for _, b in right) / len(pairs),
        "difference": intervals.mean([float(b) - float(a) for a, b in right]).as_json(),
        "gained": gained,
        "lost": lost,
        "p": intervals.mcnemar(gained, lost),
    }


def _iou(pairs: Sequence[Pair]) -> dict[str, Any]:
    differences = [b["iou"] - a["iou"] for a, b in pairs]
    return {
        "n": len(pairs),
        "a": sum(a["iou"] for a, _ in pairs) / len(pairs),
        "b": sum(b["iou"] for _, b in pairs) / len(pairs),
        "difference": intervals.mean(differences).as_json(),
        "p": intervals.sign_flips(differences),
    }


def _cell(numbers: dict[str, Any]) -> str:
    return f"{numbers['value']:+.4f} [{numbers['low']:+.4f}, {numbers['high']:+.4f}]"
