"""Write the report of one run, or of several side by side: one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from data_prep.html import render
from verl_plugins.report.adversarial_images import adversarial_section
from verl_plugins.report.alarms import alarms_section
from verl_plugins.report.curves import curve_sections
from verl_plugins.report.distributions import distributions_section, validation_distributions
from verl_plugins.report.gallery import Gallery, load_gallery
from verl_plugins.report.gallery_section import gallery_section
from verl_plugins.report.loaded_run import LoadedRun, differing_settings, load_runs
from verl_plugins.report.run_files import grounding_settings, validation_files
from verl_plugins.report.run_summary import SummaryRow, headings, step_list, summary_rows, summary_table
from verl_plugins.report.tokens import tokens_sections
from verl_plugins.report.validation_rows import ValidationRows

NO_DUMPS = "Not shown: no validation dumps; train with run_dir=RUN_DIR."
NO_FILE = "Not shown: the validation file is not known; give it with --val-file."


def write_report(run_dirs: Sequence[Path], val_files: Sequence[Path] = (), out: Path | None = None) -> tuple[Path, str]:
    """Write the report of finished or running runs.

    Args:
        run_dirs: directory of each run, with the metrics (see `load_run`) and, optionally, `validation/{step}.jsonl`
            (verl's validation dumps), `tokens/{step}.jsonl` (what VEPO selected), `adversarial/{step}.jsonl` (SaEI's
            images), Hydra's copy of the config, and `run.json` (a flat object of strings: title, method, versions, …).
        val_files: the validation files that the runs used; those that each run's config names if empty.
        out: the file to write; `report.html` in the only run, or `comparison.html` in the working directory, if None.

    Returns:
        The path of the report, and the table of first, last and best values as plain text.

    Raises:
        FileNotFoundError: there are no metrics, or a validation file does not exist.
        ValueError: the metrics hold no readable record, or `run.json` is no JSON object.
    """
    runs = load_runs(run_dirs)
    if out is None:
        out = run_dirs[0] / "report.html" if len(runs) == 1 else Path("comparison.html")
    rows_of = [ValidationRows(list(val_files) or validation_files(run.config)) for run in runs]
    galleries = [_gallery(run, rows) for run, rows in zip(runs, rows_of, strict=True)]
    summary = summary_rows([(run.name, run.log.steps) for run in runs])
    curves, values = curve_sections(runs)
    distributions = validation_distributions([(run.name, run.folder, run.last_step) for run in runs], rows_of)
    names = [run.name for run in runs]
    html = render(
        "verl_plugins/report/templates/run_report.html",
        title=runs[0].title if len(runs) == 1 else f"{len(runs)} runs side by side",
        runs=[_samples(run, gallery) for run, gallery in zip(runs, galleries, strict=True)],
        facts=_facts(runs),
        fact_headings=["", *names] if len(runs) > 1 else [],
        summary=_grouped(summary, {run.name: run.style for run in runs if run.name}),
        summary_headings=headings(summary),
        settings=differing_settings(runs),
        setting_headings=["Setting", *names],
        notes=[note for run, gallery in zip(runs, galleries, strict=True) for note in _notes(run, gallery)],
        alarms=alarms_section([(run.name, run.alarms) for run in runs]),
        curves=curves,
        distributions=distributions_section(distributions, NO_DUMPS),
        values=_embedded_json(values),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(html, encoding="utf-8", errors="replace")
    return out, summary_table(summary)


def _gallery(run: LoadedRun, rows: ValidationRows) -> Gallery | str:
    return load_gallery(run.folder, rows, run.last_step, grounding_settings(run.config)) if rows.files else NO_FILE


def _samples(run: LoadedRun, gallery: Gallery | str) -> dict[str, Any]:
    """Return what the page shows of one run apart from the others."""
    is_shown = isinstance(gallery, Gallery)
    return {
        "name": run.name,
        "style": run.style,
        "tokens": tokens_sections(run.folder, run.last_step),
        "adversarial": adversarial_section(run.folder, run.last_step),
        "has_gallery": is_shown,
        "gallery": gallery_section(gallery, f"run{run.style}") if is_shown else gallery,  # a plain reason is escaped
    }


def _grouped(rows: Sequence[SummaryRow], styles: Mapping[str, int]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the rows of each quantity with its label; each row's cells without the label, and its run's style."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row.label, []).append({"cells": row.cells()[1:], "style": styles.get(row.run)})
    return list(groups.items())


def _facts(runs: Sequence[LoadedRun]) -> list[list[str]]:
    keys = [key for key in dict.fromkeys(key for run in runs for key in run.facts) if len(runs) > 1 or key != "title"]
    return [[key, *(run.facts.get(key, "–") for run in runs)] for key in keys]


def _embedded_json(values: dict[str, Any]) -> Markup:
    """JSON inside a script element, where "<" could end it."""
    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _notes(run: LoadedRun, gallery: Gallery | str) -> list[str]:
    """Defects of the files that the reader must know before trusting the numbers."""
    log, notes = run.log, []
    if log.unreadable_lines:
        notes.append(f"Unreadable lines in metrics.jsonl, skipped: {log.unreadable_lines}.")
    if isinstance(gallery, Gallery) and gallery.unreadable_lines:
        notes.append(f"Unreadable lines in the validation dumps, skipped: {gallery.unreadable_lines}.")
    if log.repeated:
        notes.append(f"Steps logged again after a resume, the later values are shown: {step_list(log.repeated)}.")
    if log.abandoned:
        notes.append(f"Steps thrown away by a resume and not reached again, not shown: {step_list(log.abandoned)}.")
    return [f"{run.name}: {note}" for note in notes] if run.name else notes
