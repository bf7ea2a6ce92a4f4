"""Summary of a run: means over its first and its last values."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from verl_plugins.report.metrics import series
from verl_plugins.report.quantities import QUANTITIES, find, metric_keys
from verl_plugins.report.run_files import load_run

WINDOW = 5  # values in a mean


@dataclass(frozen=True)
class SummaryRow:
    """One quantity: its means over `first_steps` and over `last_steps`, None if it was not logged.

    Each mean is over five values, or over fewer if the quantity was logged less than ten times, so that the two never
    overlap.
    """

    label: str
    first: float | None
    last: float | None
    first_steps: str
    last_steps: str

    def cells(self) -> list[str]:
        """Format the row as text: label, first, last, change, steps."""
        if self.first is None:
            return [self.label, "–", "–", "–", "not logged"]
        if self.last is None:
            return [self.label, number(self.first), "–", "–", f"{self.first_steps} only"]
        change = ("+" if self.last >= self.first else "") + number(self.last - self.first)
        return [self.label, number(self.first), number(self.last), change, f"{self.first_steps} → {self.last_steps}"]


HEADINGS = ["Quantity", "First", "Last", "Change", "Steps"]


def summary_table(run_dir: str | Path) -> str:
    """Format the table of first and last means of a run as aligned plain text, without a trailing newline.

    Raises:
        FileNotFoundError, ValueError: see `load_run`.
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
    """Return one row for every summary quantity, or several if it was logged under several names."""
    keys = metric_keys(steps)
    rows = []
    for quantity in QUANTITIES:
        if quantity.is_summary:
            matches = find(quantity, keys) or [(quantity.label, "")]
            rows += [_row(label, series(steps, key)) for label, key in matches]
    return rows


def number(value: float) -> str:
    """Format a number with four significant digits, or without decimals from a thousand to a million.

    Examples: 0.1234, 12.34, 123,456, 1.235e+06.
    """
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
    """Format the steps of the points: "1–5" if they are consecutive, else "0, 5, 10"."""
    steps = [step for step, _ in points]
    if len(steps) > 1 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]}–{steps[-1]}"
    return ", ".join(map(str, steps))


def step_list(steps: list[int]) -> str:
    """Format at most ten steps as text: "1, 2, … (12 steps)"; empty if there are none."""
    first = ", ".join(map(str, steps[:10]))
    return first if len(steps) <= 10 else f"{first}, … ({len(steps)} steps)"
