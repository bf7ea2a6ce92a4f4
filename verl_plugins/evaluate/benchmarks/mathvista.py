"""MathVista (AI4Math/MathVista, testmini 1,000): choices and free answers, numbers with a precision per row.

Rule, as in the authors' `calculate_score.py`: a choice by its letter or value; an integer without its decimals; a float
rounded to the row's `precision`; a list number by number; text as text. Deviation: the authors let a language model
extract the answer and take the choice nearest in spelling; here the answer is read where the prompt asks for it, as a
number with its unit, a fraction or a power of ten (`numbers`), and a choice must match exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.raw.json_files import load_json
from data_prep.row.texts import text_of
from data_prep.types import Row
from reward_fns.forms import last_of_any
from verl_plugins.evaluate.annotations import DiskLayout, Records
from verl_plugins.evaluate.benchmarks.fields import image_of, letter_of, make_row, result, score_answer
from verl_plugins.evaluate.benchmarks.numbers import listed_numbers, numbers_in
from verl_plugins.evaluate.format import DataFormat, Raw, UnusableRow


def read(raw: Raw, number: int, split: str) -> Row | UnusableRow:
    """Read a row with the authors' own query, which has a hint and the choices, and the first image."""
    image = image_of(raw["decoded_image"])
    if isinstance(image, UnusableRow):
        return image
    gold, choices = text_of(raw["answer"]), [text_of(choice) for choice in raw["choices"] or []]
    if not gold:
        return UnusableRow("answer_empty")
    if choices:
        letter = letter_of(gold, choices)
        if isinstance(letter, UnusableRow):
            return letter
        gold = letter
    metadata = raw.get("metadata") or {}
    fields: dict[str, Any] = {"id": text_of(raw["pid"]), "choices": choices, "precision": raw.get("precision")}
    fields |= {"type": text_of(raw["question_type"]), "answer_type": text_of(raw["answer_type"])}
    fields |= {"subject": text_of(metadata.get("task"))}
    return make_row("mathvista", number, split, text_of(raw["query"]), [image], gold, **fields)


def score(response: str, row: Row) -> dict:
    """Score a response by the type of the answer."""
    info, gold = row["extra_info"], row["reward_model"]["ground_truth"]
    if info["choices"] or info["answer_type"] not in ("integer", "float", "list"):
        return score_answer(response, row)
    answer = last_of_any(response)
    if answer is None:
        return result("no_answer")
    is_list = info["answer_type"] == "list"
    read_numbers = listed_numbers if is_list else numbers_in
    true_values, values = read_numbers(gold), read_numbers(answer)
    if true_values is None:
        return result("bad_gold")
    if values is None:
        return result("bad_format")
    if is_list:
        return result("ok", values == true_values)
    digits = int(info["precision"] or 0)
    return result("ok", any(_is_same(true_values[0], value, info["answer_type"], digits) for value in values))


def _is_same(true_value: float, value: float, answer_type: str, digits: int) -> bool:
    true_value, value = round(true_value, 9), round(value, 9)  # 2.3 * 100 is 229.99999999999997
    if answer_type == "integer":
        return int(true_value) == int(value)
    return round(true_value, digits) == round(value, digits)


def _records(path: Path) -> Records:
    """Read the authors' file, an object by `pid`, with the queries of `query.json` beside it.

    Raises:
        SystemExit: a file cannot be read, or a query is missing.
    """
    by_pid = load_json(path)
    records = list(by_pid.values()) if isinstance(by_pid, dict) else by_pid
    if not all(isinstance(record, dict) and "pid" in record for record in records):
        raise SystemExit(f"--data {path}: expected an object of MathVista's rows by their pid")
    queries_path = path.with_name("query.json")
    queries = load_json(queries_path) if queries_path.is_file() else {}
    complete = [{"query": queries.get(str(record["pid"])), **record} for record in records]
    missing = [record["pid"] for record in complete if not record["query"]]
    if missing:
        raise SystemExit(
            f"--data {path}: got no query of the rows {', '.join(map(str, missing[:3]))}, expected query.json of the "
            "authors' repository beside it"
        )
    return complete


_LAYOUT = DiskLayout(
    ("testmini.json", "test.json"),
    frozenset({"pid", "question", "image", "choices", "answer", "question_type", "answer_type"}),
    image="image",
    column="decoded_image",
    folders=("images",),
    records=_records,
)
FORMAT = DataFormat(
    "mathvista",
    frozenset({"pid", "question", "decoded_image", "choices", "answer", "question_type", "answer_type", "query"}),
    read,
    score,
    _LAYOUT,
)
