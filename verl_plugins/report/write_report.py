"""Write the report of a run: one self-contained HTML file with its curves, and validation images before and after."""

import json
from pathlib import Path

from data_prep.html import render
from verl_plugins.report.adversarial_images import adversarial_section
from verl_plugins.report.alarms import alarm_spans, alarms_section
from verl_plugins.report.curves import curve_sections
from verl_plugins.report.distributions import distributions_section, validation_distributions
from verl_plugins.report.gallery import Gallery, load_gallery
from verl_plugins.report.gallery_section import gallery_section
from verl_plugins.report.metrics import MetricLog
from verl_plugins.report.run_files import grounding_settings, load_run, validation_file
from verl_plugins.report.run_summary import HEADINGS, step_list, summary_rows, summary_table
from verl_plugins.report.tokens import tokens_sections

NO_DUMPS = "Not shown: no validation dumps; run with trainer.validation_data_dir=RUN_DIR/validation."

__all__ = ["summary_table", "write_report"]


def write_report(run_dir: str | Path, val_file: str | Path | None = None, out: str | Path | None = None) -> Path:
    """Write the report of a finished or running run.

    Args:
        run_dir: directory with the metrics (`metrics.jsonl` or TensorBoard's event files, see `load_run`) and,
            optionally, `validation/{step}.jsonl` (verl's validation dumps), `tokens/{step}.jsonl` (what VEPO
            selected), `adversarial/{step}.jsonl` (SaEI's images) and `run.json` (a flat object of strings: title,
            method, versions, …).
        val_file: the validation parquet that the run used; the one that its config names if None.
        out: the file to write; `run_dir/report.html` if None.

    Returns:
        The path of the report.

    Raises:
        FileNotFoundError: there are no metrics, or `val_file` does not exist and there are dumps to match with it.
        ValueError: the metrics hold no readable record, or `run.json` is no JSON object.
    """
    run_dir = Path(run_dir)
    out = Path(out) if out is not None else run_dir / "report.html"
    log = load_run(run_dir)
    last_step = log.steps[-1]["step"]
    val_file = Path(val_file) if val_file is not None else validation_file(run_dir)
    gallery: Gallery | str = "Not shown: the validation file is not known; give it with --val-file."
    if val_file is not None:
        gallery = load_gallery(run_dir, val_file, last_step, grounding_settings(run_dir))
    alarms = alarm_spans(log.steps)
    facts = _read_facts(run_dir / "run.json")
    html = render(
        "verl_plugins/report/templates/run_report.html",
        title=facts.get("title", run_dir.resolve().name),
        facts=[(key, value) for key, value in facts.items() if key != "title"],
        summary=[row.cells() for row in summary_rows(log.steps)],
        summary_headings=HEADINGS,
        notes=_notes(log, gallery),
        alarms=alarms_section(alarms),
        curves=curve_sections(log.steps, alarms),
        distributions=distributions_section(validation_distributions(run_dir, last_step), NO_DUMPS),
        tokens=tokens_sections(run_dir, last_step),
        adversarial_images=adversarial_section(run_dir, last_step),
        gallery=gallery_section(gallery) if isinstance(gallery, Gallery) else gallery,  # a plain reason is escaped
        has_gallery=isinstance(gallery, Gallery),
    )
    out.write_text(html, encoding="utf-8", errors="replace")
    return out


def _read_facts(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    facts = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(facts, dict):
        raise ValueError(f"{path}: got a JSON {type(facts).__name__}, expected an object of strings")
    return {str(key): str(value) for key, value in facts.items()}


def _notes(log: MetricLog, gallery: Gallery | str) -> list[str]:
    """Defects of the files that the reader must know before trusting the numbers."""
    notes = []
    if log.unreadable_lines:
        notes.append(f"Unreadable lines in metrics.jsonl, skipped: {log.unreadable_lines}.")
    if isinstance(gallery, Gallery) and gallery.unreadable_lines:
        notes.append(f"Unreadable lines in the validation dumps, skipped: {gallery.unreadable_lines}.")
    if log.repeated:
        notes.append(f"Steps logged again after a resume, the later values are shown: {step_list(log.repeated)}.")
    if log.abandoned:
        notes.append(f"Steps thrown away by a resume and not reached again, not shown: {step_list(log.abandoned)}.")
    return notes
