"""Numbers of an evaluation: accuracy, IoU and failures by data set, subject and type, with intervals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from verl_plugins.evaluate import intervals
from verl_plugins.evaluate.benchmarks import hallusion_bench
from verl_plugins.evaluate.scoring import REJECTED, Line
from verl_plugins.report.distributions import Distribution, iou_and_score

Table = list[list[str]]  # the first row is the headings


def summarise(lines: Sequence[Line]) -> dict[str, Any]:
    """Summarise the lines of results as JSON: `grounding` and `answers` by group, `rejected` by reason.

    A group is a data source with its split; a group `all` is added if there are several. Each has the counts of its
    histograms of score and, for boxes, IoU. Within each group, answers are also grouped by subject and by type.
    Rejected rows are counted only in `rejected`.
    """
    kept = [line for line in lines if line["status"] != REJECTED]
    rejected = Counter(line["reason"] for line in lines if line["status"] == REJECTED)
    boxes = [line for line in kept if line["kind"] == "grounding"]
    answers = [line for line in kept if line["kind"] == "answer"]
    return {
        "rows": len(kept),
        "rejected": dict(rejected),
        "grounding": {
            name: {**grounding_numbers(group), "histograms": _histograms(group)}
            for name, group in _by_source(boxes).items()
        },
        "answers": {name: _answer_groups(group) for name, group in _by_source(answers).items()},
    }


def grounding_numbers(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the numbers of one group of boxes.

    `accuracy` is the share with IoU > 0.5, `accuracy_in_form` the share that also kept the form of the answer, and
    `unread` the share in which no boxes were found.
    """
    return {
        "n": len(lines),
        "accuracy": intervals.proportion([line["accuracy"] == 1.0 for line in lines]).as_json(),
        "accuracy_in_form": intervals.proportion(
            [line["accuracy"] == 1.0 and line["format"] == 1.0 for line in lines]
        ).as_json(),
        "iou": intervals.mean([line["iou"] for line in lines]).as_json(),
        "unread": intervals.proportion([line["boxes"] is None for line in lines]).as_json(),
        "score": intervals.mean([line["score"] for line in lines]).as_json(),
        "statuses": dict(Counter(line["status"] for line in lines)),
    }


def answer_numbers(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the numbers of one group of answers."""
    return {
        "n": len(lines),
        "accuracy": intervals.proportion([line["accuracy"] == 1.0 for line in lines]).as_json(),
        "score": intervals.mean([line["score"] for line in lines]).as_json(),
        "statuses": dict(Counter(line["status"] for line in lines)),
    }


def distributions(lines: Sequence[Line]) -> list[Distribution]:
    """Return the distributions of IoU and score in the groups of `summarise`."""
    kept = [line for line in lines if line["status"] != REJECTED]
    groups = [_by_source([line for line in kept if line["kind"] == kind]) for kind in ("grounding", "answer")]
    return [
        each
        for by_name in groups
        for name, group in by_name.items()
        for each in line_distributions(name, {"": group}).values()
    ]


def line_distributions(label: str, lines: Mapping[str, Sequence[Line]]) -> dict[str, Distribution]:
    """Return the distributions "iou", of boxes, and "score" of lines of results.

    Args:
        label: name of the rows.
        lines: the lines by the name of the evaluation.
    """
    ious = {name: [line["iou"] for line in group if line["kind"] == "grounding"] for name, group in lines.items()}
    return iou_and_score(label, ious, {name: [line["score"] for line in group] for name, group in lines.items()})


def tables(summary: dict[str, Any]) -> dict[str, Table]:
    """Format the summary as tables by title; empty tables are left out."""
    headings = ["data", "n", "IoU > 0.5", "and form kept", "mean IoU", "no boxes found", "statuses"]
    boxes = [headings]
    for name, numbers in summary["grounding"].items():
        cells = [_cell(numbers[key]) for key in ("accuracy", "accuracy_in_form", "iou", "unread")]
        boxes.append([name, f"{numbers['n']:,}", *cells, _counts(numbers["statuses"])])
    answers = [["data", "n", "accuracy", "statuses"]]
    for name, group in summary["answers"].items():
        answers.append([name, *_answer_cells(group)])
        for key in ("qAcc", "fAcc"):
            if key in group:
                answers.append([f"{name}, {key}", f"{group[key]['n']:,}", _cell(group[key]), ""])
        for kind in ("subject", "type"):
            answers += [[f"{name}, {kind} {each}", *_answer_cells(group[kind][each])] for each in group[kind]]
    by_title = {"Boxes": boxes, "Answers": answers}
    if summary["rejected"]:
        by_title["Rows that could not be asked, counted nowhere"] = [["reason", "n"]] + [
            [reason, f"{count:,}"] for reason, count in summary["rejected"].items()
        ]
    return {title: table for title, table in by_title.items() if len(table) > 1}


def plain(table: Table) -> str:
    """Format a table as aligned text."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def by_group(lines: Iterable[Line], name_of: Callable[[Line], str]) -> dict[str, list[Line]]:
    """Group lines by the name that a function gives them, in order of name."""
    groups = defaultdict(list)
    for line in lines:
        groups[name_of(line)].append(line)
    return {name: groups[name] for name in sorted(groups)}


def _by_source(lines: Sequence[Line]) -> dict[str, list[Line]]:
    groups = by_group(lines, lambda line: " ".join(filter(None, (line["data_source"], line["split"]))))
    return {**groups, "all": list(lines)} if len(groups) > 1 else groups


def _answer_groups(lines: Sequence[Line]) -> dict[str, Any]:
    numbers = {**answer_numbers(lines), "histograms": _histograms(lines)}
    for kind in ("subject", "type"):
        groups = by_group((line for line in lines if line[kind]), lambda line, kind=kind: line[kind])
        numbers[kind] = {name: answer_numbers(group) for name, group in groups.items()}
    if {line["data_source"] for line in lines} == {hallusion_bench.NAME}:
        numbers |= {
            key: intervals.proportion(each).as_json() for key, each in hallusion_bench.consistent(lines).items()
        }
    return numbers


def _histograms(lines: Sequence[Line]) -> dict[str, Any]:
    return {name: each.histograms[""].as_json() for name, each in line_distributions("", {"": lines}).items()}


def _answer_cells(numbers: dict[str, Any]) -> list[str]:
    return [f"{numbers['n']:,}", _cell(numbers["accuracy"]), _counts(numbers["statuses"])]


def _cell(numbers: dict[str, Any]) -> str:
    return str(intervals.Estimate(**numbers))


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(statuses.items(), key=lambda item: -item[1]))
