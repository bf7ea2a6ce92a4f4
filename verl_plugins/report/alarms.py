"""The alarms of a run, as its health checks logged them: `health/<alarm>`, 1 while it rang."""

from html import escape

from verl_plugins.health.checks import ALARMS, CHECKS, looks_at
from verl_plugins.report.metrics import series
from verl_plugins.report.page import table

PREFIX = "health/"


def alarm_spans(steps: list[dict]) -> dict[str, list[tuple[int, int]]]:
    """First and last step of each time that an alarm rang; an empty list for one that looked and never rang."""
    names = sorted({key.removeprefix(PREFIX) for row in steps for key in row if key.startswith(PREFIX)})
    return {name: _spans(series(steps, PREFIX + name)) for name in names}


def spans_on(metric: str, alarms: dict[str, list[tuple[int, int]]]) -> list[tuple[int, int, str]]:
    """(first step, last step, alarm) of the alarms that look at a metric, to be marked on its curve."""
    return [(*span, name) for name, spans in alarms.items() if looks_at(name, metric) for span in spans]


def alarms_section(alarms: dict[str, list[tuple[int, int]]]) -> str:
    """The section's HTML: what rang when, or that nothing did."""
    title = "<h2>Alarms</h2>"
    if not alarms:
        return f'{title}<p class="quiet">Not checked: this run logged no health/&lt;alarm&gt;.</p>'
    rang = {name: spans for name, spans in alarms.items() if spans}
    silent = [name for name in sorted(alarms, key=_place) if not alarms[name]]
    parts = [title]
    if rang:
        rows = [
            [name, ", ".join(_steps(*span) for span in rang[name]), _what(name)] for name in sorted(rang, key=_place)
        ]
        parts.append(table(rows, "alarms", ["Alarm", "Rang at step", "Looks at the mean of"]))
    if silent:
        parts.append(f'<p class="quiet">Looked at every step and silent: {escape(", ".join(silent))}.</p>')
    return "".join(parts)


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


def _what(alarm: str) -> str:
    return "; ".join(check.what for check in CHECKS if check.alarm == alarm)


def _place(alarm: str) -> tuple[int, str]:
    return (ALARMS.index(alarm) if alarm in ALARMS else len(ALARMS), alarm)
