"""The page of two evaluations side by side: the tables, and the rows that only one of them got right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.html import render
from verl_plugins.evaluate.data_rows import DataFile, data_sha256
from verl_plugins.evaluate.recognise import FORMATS
from verl_plugins.evaluate.result_cards import load_rows, result_card, score_summary, select_lines
from verl_plugins.evaluate.scoring import Line
from verl_plugins.evaluate.store import key_of
from verl_plugins.evaluate.summary import Table
from verl_plugins.report.distributions import Distribution, distributions_section


def comparison_page(
    facts: Mapping[str, str],
    tables: Mapping[str, Table],
    distributions: Sequence[Distribution],
    pairs: Sequence[tuple[Line, Line]],
    data_facts: Sequence[dict[str, Any]],
) -> str:
    """Render the page as HTML.

    Args:
        facts: names and values of what was compared.
        tables: the numbers by title.
        distributions: IoU and score of both evaluations.
        pairs: the lines of the first (A) and the second (B) evaluation about the same row.
        data_facts: `data` of the first evaluation's `evaluation.json`.
    """
    changed = {
        "Only B right": [(a, b) for a, b in pairs if b["accuracy"] > a["accuracy"]],
        "Only A right": [(a, b) for a, b in pairs if a["accuracy"] > b["accuracy"]],
    }
    data = [_data_file(each) for each in data_facts]
    sections = []
    for title, part in changed.items():
        line_of_b = {key_of(a): b for a, b in part}
        lines_of_a = select_lines([a for a, _ in part])
        rows = load_rows(data, [key_of(line) for line in lines_of_a])
        cards = []
        for number, a in enumerate(lines_of_a):
            b = line_of_b[key_of(a)]
            scores = f"A: {score_summary(a)} B: {score_summary(b)}"
            cards.append(result_card(rows.get(key_of(a)), {"A": a, "B": b}, scores, f"{title[5:6]}{number}"))
        sections.append({"title": title, "total": len(part), "cards": cards})
    return render(
        "verl_plugins/evaluate/templates/comparison_report.html",
        title="Two evaluations side by side",
        facts=facts.items(),
        tables=tables,
        distributions=distributions_section(distributions),
        sections=sections,
    )


def _data_file(facts: dict[str, Any]) -> DataFile | None:
    """Return the file that was evaluated; None if it is gone or has changed since."""
    path = Path(facts["path"])
    form = FORMATS[facts["format"]]
    if not path.is_file() or data_sha256(path, form) != facts["sha256"]:
        return None
    return DataFile(path, form, facts["sha256"], (), ())
