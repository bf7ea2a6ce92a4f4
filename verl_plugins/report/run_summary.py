"""Summary of runs: means over the first and the last values of each quantity, and its best value."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from verl_plugins.report.metrics import series
from verl_plugins.report.quantities import QUANTITIES, Quantity, find, metric_keys

WINDOW = 5  # values in a mean


@dataclass(frozen=True)
class SummaryRow:
    """One quantity of one run: its means over `first_steps` and over `last_steps`, None if it was not logged, and its
    best value with the step of it, None if no direction is better.

    Each mean is over five values, or over fewer if the quantity was logged less than ten times, so that the two never
    overlap.
    """

    label: str
    run: str
    first: float | None
    last: float | None
    first_steps: str
    last_steps: str
    best: tuple[int, float] | None = None

    def cells(self) -> list[str]:
        """Format the row as text, below `headings`."""
        names = [self.label, self.run] if self.run else [self.label]
        best = f"{number(self.best[1])} at {self.best[0]}" if self.best else "–"
        if self.first is None:
            return [*names, "–", "–", "–", "–", "not logged"]
        if self.last is None:
            return [*names, number(self.first), "–", "–", best, f"{self.first_steps} only"]
        change = ("+" if self.last >= self.first else "") + number(self.last - self.first)
        steps = f"{self.first_steps} → {self.last_steps}"
        return [*names, number(self.first), number(self.last), change, best, steps]


def headings(rows: Sequence[SummaryRow]) -> list[str]:
    """Return the headings of the table; runs have a column if there are several."""
    runs = ["Run"] if any(row.run for row in rows) else []
    return ["Quantity", *runs, "First", "Last", "Change", "Best", "Steps"]


def summary_table(rows: Sequence[SummaryRow]) -> str:
    """Format the rows as aligned plain text, without a trailing newline."""
    names = headings(rows)
    lines = [names, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    is_text = [name in ("Quantity", "Run", "Steps") for name in names]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(line, widths, is_text, strict=True)
        ).rstrip()
        for line in lines
    )


def summary_rows(runs: Sequence[tuple[str, list[dict]]]) -> list[SummaryRow]:
    """Return the rows of every summary quantity, those of all runs below each other.

    Args:
        runs: name and steps of each run; the name of an only run is "".

    A quantity that was logged under several names has rows for each. What no run logged has one row, for all.
    """
    keys = sorted({key for _, steps in runs for key in metric_keys(steps)})
    rows = []
    for quantity in QUANTITIES:
        if quantity.is_summary:
            for label, key in find(quantity, keys) or [(quantity.label, "")]:
                logged = [(run, steps) for run, steps in runs if series(steps, key)]
                shown = logged if len(runs) > 1 and logged else [(runs[0][0] if len(runs) == 1 else "–", runs[0][1])]
                rows += [_row(quantity, label, run, series(steps, key)) for run, steps in shown]
    return rows


def number(value: float) -> str:
    """Format a number with four significant digits, or without decimals from a thousand to a million.

    Examples: 0.1234, 12.34, 123,456, 1.235e+06.
    """
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.4g}"


def _row(quantity: Quantity, label: str, run: str, points: list[tuple[int, float]]) -> SummaryRow:
    if not points:
        return SummaryRow(label, run, None, None, "", "")
    width = max(1, min(WINDOW, len(points) // 2))
    first, last = points[:width], points[-width:]
    best = best_point(quantity, points)
    if len(points) == 1:
        return SummaryRow(label, run, first[0][1], None, _span(first), "", best)
    before, after = (fmean(value for _, value in part) for part in (first, last))
    return SummaryRow(label, run, before, after, _span(first), _span(last), best)


def best_point(quantity: Quantity, points: Sequence[tuple[int, float]]) -> tuple[int, float] | None:
    """Return (step, value) of the best value, the first of equal ones; None if no direction is better."""
    if not quantity.best:
        return None
    choose = max if quantity.best == "high" else min
    return choose(points, key=lambda point: point[1])


def _span(points: list[tuple[int, float]]) -> str:
    """Format the steps of the points: "1–5" if they are consecutive, else "0, 5, 10"."""
    steps = [step for step, _ in points]
    if len(steps) > 1 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]}–{steps[-1]}"
    return ", ".join(map(str, steps))


def step_list(steps: list[int]) -> str:
    """Format at most ten steps as text: "1, 2, … (12 steps)"; empty if there are none."""
    first = ", ".join(map(str, steps[:10]))
    return first if len(steps) <= 10 else f"{first}, … ({len(steps)} steps)"
