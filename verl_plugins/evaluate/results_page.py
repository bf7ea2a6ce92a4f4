"""The page of an evaluation: its tables, and wins and failures with their pictures; one file, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from data_prep.types import Row
from reward_fns.boxes import parse_gold
from verl_plugins.evaluate.data_rows import DataFile, read_rows
from verl_plugins.evaluate.format import Reject
from verl_plugins.evaluate.scoring import REJECTED, Line
from verl_plugins.evaluate.store import Key, key_of
from verl_plugins.evaluate.summary import Table, by_group
from verl_plugins.report.cards import LEGEND, boxed_picture, corners, embedded
from verl_plugins.report.gallery import spread
from verl_plugins.report.page import page, table

SHOWN = 16  # wins, and failures
_LONGEST = 4000  # characters of a response on the page


def evaluation_page(
    title: str, facts: Mapping[str, str], found: Mapping[str, Table], lines: Sequence[Line], data: Sequence[DataFile]
) -> str:
    """The HTML of one evaluation."""
    asked = [line for line in lines if line["status"] != REJECTED]
    ranked = sorted(asked, key=lambda line: (line["iou"], line["score"]))
    failures = [line for line in ranked if line["accuracy"] != 1.0]
    wins = [line for line in ranked if line["accuracy"] == 1.0]
    shown = {"Failures": failures, "Wins": wins}
    rows = rows_of(data, [key_of(line) for part in shown.values() for line in chosen(part)])
    sections = [*head(facts, found), LEGEND if any(line["kind"] == "grounding" for line in asked) else ""]
    for name, part in shown.items():
        cards = [card(line, rows.get(key_of(line)), f"{name}{number}") for number, line in enumerate(chosen(part))]
        note = f"{len(cards)} of {len(part):,}, spread evenly over their scores, data set by data set."
        sections += [f"<h2>{name}</h2>", f"<p>{note}</p>", f'<div class="cards">{"".join(cards)}</div>']
    return page(title, sections)


def head(facts: Mapping[str, str], found: Mapping[str, Table]) -> list[str]:
    """What was evaluated, and the tables."""
    sections = [table([[name, value] for name, value in facts.items()], "facts")]
    for title, rows in found.items():
        sections += [f"<h2>{escape(title)}</h2>", table(rows[1:], "numbers", rows[0])]
    return [*sections, '<p class="quiet">In brackets: 95% confidence intervals.</p>']


def chosen(lines: Sequence[Line]) -> list[Line]:
    """At most SHOWN lines, the same number of each data source, evenly spaced within it."""
    groups = by_group(lines, lambda line: line["data_source"])
    share = max(2, SHOWN // max(1, len(groups)))
    return [group[number] for group in groups.values() for number in spread(len(group), share)]


def rows_of(data: Sequence[DataFile | None], keys: Sequence[Key]) -> dict[Key, Row]:
    """The rows with these keys, images included; those of files that are gone (None) are left out."""
    found: dict[Key, Row] = {}
    for number, file in enumerate(data):
        wanted = sorted({row for place, row in keys if place == number})
        if wanted and file is not None:
            for row_number, row in zip(wanted, read_rows(file, wanted), strict=True):
                if not isinstance(row, Reject):
                    found[number, row_number] = row
    return found


def card(line: Line, row: Row | None, name: str) -> str:
    """One answer: its picture with the boxes, the prompt, the gold answer, the response and how it scored."""
    parts = [f'<article class="card"><h3>{escape(line["question"])}</h3>', *pictures(row, [line], name)]
    parts += [f'<p class="rank">{escape(told(line))}</p>', *texts(row, {"Response": line["response"]}), "</article>"]
    return "\n".join(parts)


def pictures(row: Row | None, lines: Sequence[Line], name: str) -> Iterator[str]:
    """The row's pictures; over the first the true and the predicted boxes of each line, one drawing a line."""
    if row is None or not row["images"]:
        return
    info = row["extra_info"]
    size = (info["orig_w"], info["orig_h"]) if info.get("orig_w") and info.get("orig_h") else None
    for number, image in enumerate(row["images"]):
        try:
            data = image["bytes"] or Path(image["path"]).read_bytes()
            element, drawn = embedded(f"{name}-{number}", data, size if number == 0 else None)
        except Exception as error:  # what could not be asked for its image is among the failures
            yield f"<p>No picture: {escape(f'{type(error).__name__}: {error}'[:200])}</p>"
            continue
        elements = [element] + [f'<use href="#{name}-{number}"/>'] * (len(lines) - 1 if number == 0 else 0)
        yield '<div class="pair">'
        for place, (line, picture) in enumerate(zip(lines, elements, strict=False)):
            boxes = _boxes(line) if number == 0 else []
            svg = boxed_picture(f"{name}-{number}-{place}", line["question"], told(line), picture, drawn, boxes)
            yield f"<figure>{svg}</figure>"
        yield "</div>"


def told(line: Line) -> str:
    """How an answer scored, in a sentence."""
    score = f"IoU {line['iou']:.3f}, " if line["kind"] == "grounding" else ""
    found = ""
    if line["kind"] == "grounding":
        found = f" Found {' '.join(map(corners, line['boxes']))}." if line["boxes"] else " Found no box."
    return f"{score}score {line['score']:.3f}, status {line['status']}. True: {line['gold']}.{found}"


def texts(row: Row | None, responses: Mapping[str, str]) -> Iterator[str]:
    yield "<details><summary>Prompt and response</summary>"
    if row is not None:
        asked = "\n\n".join(f"{message['role']}: {message['content']}" for message in row["prompt"])
        yield f"<p>Prompt</p><pre>{escape(asked)}</pre>"
    for name, text in responses.items():
        cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
        yield f"<p>{escape(name)}</p><pre>{escape(cut)}</pre>"
    yield "</details>"


def _boxes(line: dict[str, Any]) -> list[tuple[str, Any]]:
    if line["kind"] != "grounding":
        return []
    true = [("true-box", box) for box in parse_gold(line["gold"] or "") or []]
    return true + [("predicted-box", box) for box in line["boxes"] or []]
