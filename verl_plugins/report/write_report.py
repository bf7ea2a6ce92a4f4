"""Write the report of one run, or of several side by side: one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
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
from verl_plugins.report.run_files import config_file, grounding_settings, validation_files
from verl_plugins.report.run_summary import SummaryRow, headings, step_list, summary_rows, summary_table
from verl_plugins.report.side_files import read_side_file
from verl_plugins.report.tokens import tokens_sections
from verl_plugins.report.validation_rows import ValidationRows

NO_DUMPS = "Not shown: no validation dumps; train with run_dir=RUN_DIR."
UNREADABLE = "Not shown: the validation dumps, or the images of their rows, cannot be read; the notes say why."
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
        FileNotFoundError: there are no metrics.
        ValueError: the metrics hold no readable record, one of `val_files` cannot be read, or `out` is a folder. Other
            files that cannot be read are named in the report's notes.
    """
    if out is not None and out.is_dir():
        raise ValueError(f"--out: got the folder {out}, expected a file; set --out {out / 'report.html'}")
    runs = load_runs(run_dirs)
    if out is None:
        out = run_dirs[0] / "report.html" if len(runs) == 1 else Path("comparison.html")
    rows_of = [ValidationRows(val_files) if val_files else _validation_rows(run) for run in runs]
    galleries = [_gallery(run, rows) for run, rows in zip(runs, rows_of, strict=True)]
    summary = summary_rows([(run.name, run.log.steps) for run in runs])
    curves, values = curve_sections(runs)
    distributions = validation_distributions([(run.name, run.folder, run.last_step) for run in runs], rows_of)
    names = [run.name for run in runs]
    samples = [_samples(run, gallery) for run, gallery in zip(runs, galleries, strict=True)]
    html = render(
        "verl_plugins/report/templates/run_report.html",
        title=runs[0].title if len(runs) == 1 else f"{len(runs)} runs side by side",
        runs=samples,
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
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(html, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"--out: got {out}, which cannot be written ({error.strerror}); set --out") from error
    return out, summary_table(summary)


def _validation_rows(run: LoadedRun) -> ValidationRows:
    """Read the validation files that the run's config names; those that cannot be read go into its notes."""
    config = config_file(run.folder) or run.folder
    files = read_side_file(config, lambda: validation_files(run.config), [], run.notes)
    try:
        return ValidationRows(files)
    except ValueError:
        sound = [path for path in files if read_side_file(path, partial(ValidationRows, [path]), None, run.notes)]
        return ValidationRows(sound)


def _gallery(run: LoadedRun, rows: ValidationRows) -> Gallery | str:
    """Load what the report shows of the validation images, or say why it cannot."""
    if not rows.files:
        return NO_FILE
    config = config_file(run.folder) or run.folder
    settings = read_side_file(config, lambda: grounding_settings(run.config), {}, run.notes)
    dumps = run.folder / "validation"
    return read_side_file(dumps, lambda: load_gallery(run.folder, rows, run.last_step, settings), UNREADABLE, run.notes)


def _samples(run: LoadedRun, gallery: Gallery | str) -> dict[str, Any]:
    """Return what the page shows of one run apart from the others."""
    section = None
    if isinstance(gallery, Gallery):
        read = partial(gallery_section, gallery, f"run{run.style}")
        section = read_side_file(run.folder / "validation", read, None, run.notes)
        gallery = UNREADABLE
    return {
        "name": run.name,
        "style": run.style,
        "tokens": tokens_sections(run.folder, run.last_step, run.notes),
        "adversarial": adversarial_section(run.folder, run.last_step, run.notes),
        "has_gallery": section is not None,
        "gallery": gallery if section is None else section,  # a plain reason is escaped
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
    log, notes = run.log, list(dict.fromkeys(run.notes))
    if log.unreadable_lines:
        notes.append(f"Unreadable lines in metrics.jsonl, skipped: {log.unreadable_lines}.")
    if isinstance(gallery, Gallery) and gallery.unreadable_lines:
        notes.append(f"Unreadable lines in the validation dumps, skipped: {gallery.unreadable_lines}.")
    if log.repeated:
        notes.append(f"Steps logged again after a resume, the later values are shown: {step_list(log.repeated)}.")
    if log.abandoned:
        notes.append(f"Steps thrown away by a resume and not reached again, not shown: {step_list(log.abandoned)}.")
    return [f"{run.name}: {note}" for note in notes] if run.name else notes
