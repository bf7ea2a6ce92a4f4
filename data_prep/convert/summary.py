"""The report of a run: a table for the terminal, and report.json, which tells a later run that it has no work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.types import REASONS

REPORT = "report.json"
REJECTS_FILE = "rejects.jsonl"


@dataclass
class SplitReport:
    """Counts of one split.

    Args:
        split: name of the split.
        read: number of raw rows, rejected ones included.
        written: number of rows in its files.
        images: size in bytes of each distinct image by hash; None for images by path.
        files: size in bytes of each file by name.
    """

    split: str
    read: int
    written: int = 0
    images: dict[str, int | None] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)

    def counts(self) -> dict[str, object]:
        """Return the counts for report.json."""
        image_bytes = sum(size or 0 for size in self.images.values())
        numbers = {"split": self.split, "read": self.read, "written": self.written, "images": len(self.images)}
        return {**numbers, "image_bytes": image_bytes, "files": self.files}


@dataclass(frozen=True)
class Report:
    """Report of a complete run.

    Args:
        plan: hash of everything that decides the output.
        splits: counts of each split.
        rejected: number of rejected raw rows by split ("" if it is unknown) and reason.
    """

    plan: str
    splits: list[dict[str, Any]]
    rejected: dict[str, dict[str, int]]

    @classmethod
    def of_lines(cls, plan: str, splits: list[SplitReport], lines: list[str]) -> Report:
        """Build the report from the counts of the splits and the lines of rejects.jsonl."""
        rejected: dict[str, Counter[str]] = {}
        for line in map(json.loads, lines):
            rejected.setdefault(line["split"], Counter())[line["reason"]] += 1
        counts = {split: dict(sorted(reasons.items())) for split, reasons in rejected.items()}
        return cls(plan, [split.counts() for split in splits], counts)

    @classmethod
    def of_finished_run(cls, out: Path, plan: str) -> Report | None:
        """Return the report of an earlier run of this plan, or None unless all its files exist in full size."""
        try:
            report = cls(**json.loads((out / REPORT).read_text()))
            is_complete = all(_has_files(out, split) for split in report.splits)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return report if is_complete and report.plan == plan and (out / REJECTS_FILE).exists() else None

    def after(self, other: Report) -> Report:
        """Return this report with the splits of another one before its own."""
        return Report(self.plan, other.splits + self.splits, other.rejected | self.rejected)

    def to_json(self) -> str:
        """Return the text of report.json."""
        return json.dumps({"plan": self.plan, "splits": self.splits, "rejected": self.rejected}, indent=1) + "\n"

    def table(self, seconds: float, published: Mapping[str, int]) -> str:
        """Return the table for the terminal: a line for each split, then a line for each reason of rejection.

        Args:
            seconds: duration of the run.
            published: rows of each split as published by the authors of the data set; empty if not comparable.
        """
        lines = [f"{'split':<10}{'read':>9}{'written':>9}{'rejected':>9}{'images':>9}{'image MB':>10}{'file MB':>9}"]
        for split in self.splits:
            name, image_bytes = str(split["split"]), split["image_bytes"]
            rejected = sum(self.rejected.get(name, {}).values())
            megabytes = f"{image_bytes / 1e6:>10.1f}{sum(split['files'].values()) / 1e6:>9.1f}"
            lines.append(
                f"{name:<10}{split['read']:>9}{split['written']:>9}{rejected:>9}{split['images']:>9}{megabytes}"
                + _comparison(published.get(name), int(str(split["read"])))
            )
        missing = published.keys() - {split["split"] for split in self.splits}
        lines += [f"{name:<10}not in the source; {published[name]} rows are published" for name in sorted(missing)]
        reasons: Counter[str] = Counter()
        for counts in self.rejected.values():
            reasons.update(counts)
        lines += [f"rejected {count:>7}  {reason}: {REASONS[reason]}" for reason, count in sorted(reasons.items())]
        return "\n".join([*lines, f"{seconds:.1f} seconds"])


def other_splits(out: Path, splits: Iterable[str]) -> tuple[Report, list[str]]:
    """Return what an earlier run told of other splits, whose files are still there: its report and its rejections.

    Args:
        out: the output folder.
        splits: the splits that are converted now.

    Returns:
        A report, and lines of rejects.jsonl; both are empty if there was no such run.
    """
    try:
        report = json.loads((out / REPORT).read_text())
        kept = [split for split in report["splits"] if split["split"] not in splits and _has_files(out, split)]
        lines = (out / REJECTS_FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, ValueError, TypeError, KeyError):
        return Report("", [], {}), []
    names = {split["split"] for split in kept}
    rejected = {name: counts for name, counts in report["rejected"].items() if name in names}
    return Report("", kept, rejected), [line for line in lines if json.loads(line)["split"] in names]


def _has_files(out: Path, split: dict[str, Any]) -> bool:
    return all((out / name).is_file() and (out / name).stat().st_size == size for name, size in split["files"].items())


def _comparison(published: int | None, read: int) -> str:
    if published is None:
        return ""
    return "  as published" if read == published else f"  OF {published} PUBLISHED"
