"""How a run began and how it ended: means over its first and its last values."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from verl_plugins.report.metrics import series
from verl_plugins.report.quantities import QUANTITIES, find, metric_keys
from verl_plugins.report.run_files import load_run

WINDOW = 5  # values


@dataclass(frozen=True)
class SummaryRow:
    """One quantity: its means over `first_steps` and over `last_steps`; None where it was not logged.

    The windows hold five values each, fewer for a quantity logged less than ten times, so that they never overlap.
    """

    label: str
    first: float | None
    last: float | None
    first_steps: str
    last_steps: str

    def cells(self) -> list[str]:
        """The row as text: label, first, last, change, steps."""
        if self.first is None:
            return [self.label, "–", "–", "–", "not logged"]
        if self.last is None:
            return [self.label, number(self.first), "–", "–", f"{self.first_steps} only"]
        change = ("+" if self.last >= self.first else "") + number(self.last - self.first)
        return [self.label, number(self.first), number(self.last), change, f"{self.first_steps} → {self.last_steps}"]


HEADINGS = ["Quantity", "First", "Last", "Change", "Steps"]


def summary_table(run_dir: str | Path) -> str:
    """The first-5 against last-5 table of a run's metrics as aligned plain text, no trailing newline.

    Raises:
        FileNotFoundError, ValueError: as `load_run`.
    """
    lines = [HEADINGS, *(row.cells() for row in summary_rows(load_run(Path(run_dir)).steps))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    is_text = [True, False, False, False, True]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(line, widths, is_text, strict=True)
        ).rstrip()
        for line in lines
    )


def summary_rows(steps: list[dict]) -> list[SummaryRow]:
    """One row for every summary quantity, several for one logged under several names."""
    keys = metric_keys(steps)
    rows = []
    for quantity in QUANTITIES:
        if quantity.is_summary:
            found = find(quantity, keys) or [(quantity.label, "")]
            rows += [_row(label, series(steps, key)) for label, key in found]
    return rows


def number(value: float) -> str:
    """Four significant digits, whole numbers from a thousand to a million: 0.1234, 12.34, 123,456, 1.235e+06."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.4g}"


def _row(label: str, points: list[tuple[int, float]]) -> SummaryRow:
    if not points:
        return SummaryRow(label, None, None, "", "")
    width = max(1, min(WINDOW, len(points) // 2))
    first, last = points[:width], points[-width:]
    if len(points) == 1:
        return SummaryRow(label, first[0][1], None, _span(first), "")
    return SummaryRow(label, fmean(v for _, v in first), fmean(v for _, v in last), _span(first), _span(last))


def _span(points: list[tuple[int, float]]) -> str:
    """Steps of the points: "1–5" where they follow each other, else "0, 5, 10"."""
    steps = [step for step, _ in points]
    if len(steps) > 1 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]}–{steps[-1]}"
    return ", ".join(map(str, steps))


def step_list(steps: list[int]) -> str:
    """At most ten steps as text: "1, 2, … (12 steps)"; empty if there are none."""
    first = ", ".join(map(str, steps[:10]))
    return first if len(steps) <= 10 else f"{first}, … ({len(steps)} steps)"
