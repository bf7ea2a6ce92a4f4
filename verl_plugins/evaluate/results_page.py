"""The page of an evaluation: its tables, and wins and failures with their images, as one self-contained file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.html import render
from verl_plugins.evaluate.data_rows import DataFile
from verl_plugins.evaluate.result_cards import load_rows, result_card, score_summary, select_lines
from verl_plugins.evaluate.scoring import REJECTED, Line
from verl_plugins.evaluate.store import key_of
from verl_plugins.evaluate.summary import Table, distributions
from verl_plugins.report.distributions import distributions_section


def model_name(folder: Path) -> str:
    """Name a model by its folder; a checkpoint of verl by its run and step.

    ``outputs/first/checkpoints/global_step_50/actor/huggingface`` is "first, step 50".
    """
    parts = [part for part in folder.resolve().parts if part not in ("huggingface", "actor")]
    step = re.fullmatch(r"global_step_(\d+)", parts[-1])
    if not step:
        return parts[-1]
    run = next((part for part in reversed(parts[:-1]) if part != "checkpoints"), "")
    return f"{run}, step {step[1]}"


def evaluation_page(
    title: str, facts: Mapping[str, str], tables: Mapping[str, Table], lines: Sequence[Line], data: Sequence[DataFile]
) -> str:
    """Render the page of one evaluation as HTML.

    Args:
        title: heading of the page.
        facts: names and values of what was evaluated.
        tables: the numbers by title.
        lines: all lines of results.
        data: the files that the lines refer to.
    """
    asked = [line for line in lines if line["status"] != REJECTED]
    ranked = sorted(asked, key=lambda line: (line["iou"], line["score"]))
    by_outcome = {
        "Failures": [line for line in ranked if line["accuracy"] != 1.0],
        "Wins": [line for line in ranked if line["accuracy"] == 1.0],
    }
    selected = {name: select_lines(part) for name, part in by_outcome.items()}
    rows = load_rows(data, [key_of(line) for part in selected.values() for line in part])
    sections = [
        {
            "title": name,
            "total": len(by_outcome[name]),
            "cards": [
                result_card(rows.get(key_of(line)), {"Response": line}, score_summary(line), f"{name}{number}")
                for number, line in enumerate(part)
            ],
        }
        for name, part in selected.items()
    ]
    return render(
        "verl_plugins/evaluate/templates/evaluation_report.html",
        title=title,
        facts=facts.items(),
        tables=tables,
        distributions=distributions_section(distributions(lines)),
        has_boxes=any(line["kind"] == "grounding" for line in asked),
        sections=sections,
    )
