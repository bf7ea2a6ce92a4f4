"""Write the report of a run: one self-contained HTML file with its curves, and validation images before and after."""

import json
from html import escape
from pathlib import Path

from verl_plugins.report.adversarial_images import adversarial_section
from verl_plugins.report.alarms import alarm_spans, alarms_section, spans_on
from verl_plugins.report.cards import gallery_section
from verl_plugins.report.chart import line_chart
from verl_plugins.report.gallery import Gallery, load_gallery
from verl_plugins.report.metrics import MetricLog, is_number, series
from verl_plugins.report.page import page, table
from verl_plugins.report.quantities import QUANTITIES, find, method_keys, metric_keys
from verl_plugins.report.run_files import grounding_settings, load_run, validation_file
from verl_plugins.report.run_summary import HEADINGS, number, summary_rows, summary_table
from verl_plugins.report.tokens import tokens_section

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
    val_file = Path(val_file) if val_file is not None else validation_file(run_dir)
    gallery: Gallery | str = "Not shown: the validation file is not known; give it with --val-file."
    if val_file is not None:
        gallery = load_gallery(run_dir, val_file, log.steps[-1]["step"], grounding_settings(run_dir))
    alarms = alarm_spans(log.steps)
    facts = _read_facts(run_dir / "run.json")
    sections = [
        '<div class="overview">',
        table([[key, value] for key, value in facts.items() if key != "title"], "facts") if facts else "",
        "<section>",
        table([row.cells() for row in summary_rows(log.steps)], "summary", HEADINGS),
        '<p class="quiet">Means over the first and the last five values logged; fewer where there are under ten.</p>',
        "</section></div>",
        _notes(log, gallery),
        alarms_section(alarms),
        *_curves(log.steps, alarms),
        tokens_section(run_dir, log.steps[-1]["step"]),
        adversarial_section(run_dir, log.steps[-1]["step"]),
        "<h2>Validation images before and after</h2>",
        gallery_section(gallery) if isinstance(gallery, Gallery) else f"<p>{escape(gallery)}</p>",
    ]
    out.write_text(page(facts.get("title", run_dir.resolve().name), sections), encoding="utf-8", errors="replace")
    return out


def _read_facts(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    facts = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(facts, dict):
        raise ValueError(f"{path}: got a JSON {type(facts).__name__}, expected an object of strings")
    return {str(key): str(value) for key, value in facts.items()}


def _notes(log: MetricLog, gallery: Gallery | str) -> str:
    """What the reader must know about the files before trusting the numbers."""
    notes = []
    if log.unreadable_lines:
        notes.append(f"Unreadable lines in metrics.jsonl, skipped: {log.unreadable_lines}.")
    if isinstance(gallery, Gallery) and gallery.unreadable_lines:
        notes.append(f"Unreadable lines in the validation dumps, skipped: {gallery.unreadable_lines}.")
    if log.repeated:
        notes.append(f"Steps logged again after a resume, the later values are shown: {_list(log.repeated)}.")
    if log.abandoned:
        notes.append(f"Steps thrown away by a resume and not reached again, not shown: {_list(log.abandoned)}.")
    return '<ul class="notes">' + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>" if notes else ""


def _curves(steps: list[dict], alarms: dict[str, list[tuple[int, int]]]) -> list[str]:
    """Sections of charts: those of `QUANTITIES`, then one for every method found, then what was not logged."""
    keys = metric_keys(steps)
    sections: dict[str, list[tuple[str, str, str]]] = {}
    missing = []
    for quantity in QUANTITIES:
        if quantity.is_chart:
            found = find(quantity, keys)
            missing += [] if found else [quantity.label]
            sections.setdefault(quantity.section, []).extend((label, key, quantity.unit) for label, key in found)
    for method, names in method_keys(keys).items():
        sections[f"Method: {method}"] = [(name.partition("/")[2].replace("_", " "), name, "value") for name in names]
    parts = []
    for title, charts in sections.items():
        figures = [_figure(f"chart{len(parts)}x{i}", steps, alarms, *chart) for i, chart in enumerate(charts)]
        if figures:
            parts += [f"<h2>{escape(title)}</h2>", f'<div class="charts">{"".join(figures)}</div>']
    if missing:
        parts.append(f'<p class="quiet">Not logged in this run: {escape(", ".join(missing))}.</p>')
    return parts


def _figure(
    name: str, steps: list[dict], alarms: dict[str, list[tuple[int, int]]], label: str, key: str, unit: str
) -> str:
    points = series(steps, key)
    undefined = [row["step"] for row in steps if key in row and not is_number(row[key])]
    caption = f"<code>{escape(key).replace('/', '/<wbr>')}</code>"
    if undefined:
        caption += f"Not a number at step {_list(undefined)}."
    if not points:
        return f'<figure class="chart"><h3>{escape(label)}</h3><figcaption>{caption}</figcaption></figure>'
    step, value = points[-1]
    marks = spans_on(key, alarms)
    caption = f"Last: {number(value)} at step {step}. {caption}"
    return (
        f'<figure class="chart"><h3>{escape(label)}</h3>{line_chart(name, label, unit, points, marks)}'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _list(steps: list[int]) -> str:
    shown = ", ".join(map(str, steps[:10]))
    return shown if len(steps) <= 10 else f"{shown}, … ({len(steps)} steps)"
