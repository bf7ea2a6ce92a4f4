"""The alarms of a run, as its health checks logged them: `health/<alarm>` is 1 while the alarm rings."""

from collections.abc import Sequence

from data_prep.html import render
from verl_plugins.health.checks import ALARMS, CHECKS, looks_at
from verl_plugins.report.metrics import series

PREFIX = "health/"


def alarm_spans(steps: list[dict]) -> dict[str, list[tuple[int, int]]]:
    """Return, by alarm, the first and last step of each time it rang; no spans for one that was silent."""
    names = sorted({key.removeprefix(PREFIX) for row in steps for key in row if key.startswith(PREFIX)})
    return {name: _spans(series(steps, PREFIX + name)) for name in names}


def spans_on(metric: str, alarms: dict[str, list[tuple[int, int]]]) -> list[tuple[int, int, str]]:
    """Return (first step, last step, alarm) for the alarms that look at a metric, to mark on its curve."""
    return [(*span, name) for name, spans in alarms.items() if looks_at(name, metric) for span in spans]


def alarms_section(runs: Sequence[tuple[str, dict[str, list[tuple[int, int]]]]]) -> str:
    """Render the section as HTML: which alarm rang when, or that none did.

    Args:
        runs: name and alarms of each run; the name of an only run is "".
    """
    rows, lines = [], []
    for run, alarms in runs:
        names = sorted(alarms, key=_rank)
        for name in names:
            if alarms[name]:
                cells = [name, ", ".join(_steps(*span) for span in alarms[name]), _observed(name)]
                rows.append([cells[0], run, *cells[1:]] if run else cells)
        silent = [name for name in names if not alarms[name]]
        start = f"{run}: " if run else ""
        if not alarms:
            lines.append(f"{start}Not checked: this run logged no health/<alarm>.")
        elif silent:
            lines.append(f"{start}Looked at every step and silent: {', '.join(silent)}.")
    headings = ["Alarm", *(["Run"] if any(run for run, _ in runs) else []), "Rang at step", "Looks at the mean of"]
    return render("verl_plugins/report/templates/alarms.html", rows=rows, headings=headings, lines=lines)


def _spans(points: list[tuple[int, float]]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    ringing = False
    for step, value in points:
        if value and ringing:
            spans[-1] = (spans[-1][0], step)
        elif value:
            spans.append((step, step))
        ringing = bool(value)
    return spans


def _steps(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def _observed(alarm: str) -> str:
    return "; ".join(check.what for check in CHECKS if check.alarm == alarm)


def _rank(alarm: str) -> tuple[int, str]:
    return (ALARMS.index(alarm) if alarm in ALARMS else len(ALARMS), alarm)
