"""The lines with which the demo ends: what it showed, and where to look."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from verl_plugins.demo.assets import ROWS
from verl_plugins.demo.tasks import Task
from verl_plugins.methods import METHODS, methods_in
from verl_plugins.report.metric_meanings import meaning_of
from verl_plugins.report.metrics import series
from verl_plugins.report.run_summary import SummaryRow, number, summary_rows

SHOWN = ("Reward", "Validation IoU", "Validation accuracy", "Policy entropy")


def closing_lines(
    run_dir: Path,
    task: Task,
    method: str,
    overrides: Sequence[str],
    steps: Sequence[dict],
    report: Path,
    checkpoint: Path | None,
) -> list[str]:
    """Say in about ten lines what a finished demo showed.

    Args:
        run_dir: the run's folder.
        task: its task.
        method: value of ``+method``.
        overrides: the user's overrides.
        steps: metrics of each step, as `MetricLog.steps`.
        report: the page that it wrote.
        checkpoint: its last checkpoint, None if it saved none.
    """
    shown = [*_quantities(steps), *_metrics_of(method, steps)]
    widths = [max(len(line[column]) for line in shown) for column in range(2)]
    lines = [
        f"Shown: {_named(method, overrides)} trained a Qwen2.5-VL of two million parameters on synthetic {task.name}, "
        f"for {steps[-1]['step']} steps; {ROWS['val']} pictures were kept for validation.",
        *(f"  {name:{widths[0]}}  {values:{widths[1]}}  {meaning}".rstrip() for name, values, meaning in shown),
        "Where to look:",
        f"  report      {report}  (in a browser: curves, answers to the validation pictures, tokens)",
        f"  metrics     {run_dir / 'metrics.jsonl'}",
        *([f"  checkpoint  {checkpoint}"] if checkpoint else []),
    ]
    if method != "grpo":
        plain = run_dir.with_name(f"{run_dir.name}-grpo")
        options = [f"--task={task.name}", f"--steps={steps[-1]['step']}", f"--out={plain}"]
        options += [override for override in overrides if not override.lstrip("+").startswith("algorithm.")]
        command = shlex.join(["verl-plugins", "demo", "--method=grpo", *options])
        lines.append(f"Beside GRPO: {command} && {shlex.join(['verl-plugins', 'report', str(run_dir), str(plain)])}")
    return lines


def _named(method: str, overrides: Sequence[str]) -> str:
    """The method, with the settings that the demo gives it where the user gives no other."""
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    settings = [s for each in methods_in(method) for s in each.demo_overrides if s.partition("=")[0] not in given]
    return f"{method} ({', '.join(settings)})" if settings else method


def _quantities(steps: Sequence[dict]) -> Iterator[tuple[str, str, str]]:
    for row in summary_rows([("", list(steps))]):
        if row.label in SHOWN and row.first is not None:
            yield row.label, _change(row), f"steps {row.first_steps} → {row.last_steps}" if row.last_steps else ""


def _change(row: SummaryRow) -> str:
    values = (value for value in (row.first, row.last) if value is not None)
    return " → ".join(map(number, values))


def _metrics_of(method: str, steps: Sequence[dict]) -> Iterator[tuple[str, str, str]]:
    """The metrics in which a method is seen to act: mean over the steps."""
    acting = methods_in(method)
    for name, each in METHODS.items():
        for metric in [f"{name}/{metric}" for metric in each.demo_metrics] if each in acting else []:
            if values := [value for _, value in series(list(steps), metric)]:
                meaning = meaning_of(metric)
                yield metric, number(sum(values) / len(values)), f"{meaning.unit}: {meaning.text}"
