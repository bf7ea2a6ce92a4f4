"""VLMEvalKit's files of predictions, MODEL_DATASET.tsv, which its `run.py --mode eval` scores by its own rules.

The columns are those that its evaluators read (open-compass/VLMEvalKit, `vlmeval/dataset/`). `prediction` is the whole
response. `verl_plugins_accuracy`, which they ignore, is the accuracy by the rule of this package.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from data_prep.row.texts import text_of
from verl_plugins.evaluate.benchmarks.fields import letter_of
from verl_plugins.evaluate.benchmarks.hallusion_bench import PLACE
from verl_plugins.evaluate.benchmarks.we_math import options_of
from verl_plugins.evaluate.export.answered import Answered
from verl_plugins.evaluate.format import Raw

DATASETS = {
    "mathvista": {"testmini": "MathVista_MINI"},
    "mathverse": {"testmini": "MathVerse_MINI"},
    "math_vision": {"test": "MathVision", "testmini": "MathVision_MINI"},
    "hallusion_bench": dict.fromkeys(("image", "non_image", "HallusionBench"), "HallusionBench"),
    "we_math": {"testmini": "WeMath"},
}
"""VLMEvalKit's data set by benchmark and split."""

Cells = dict[str, Any]


def write(answers: Iterable[Answered], model: str, out: Path) -> list[Path]:
    """Write one file per data set and return their paths; answers to other questions are left out."""
    tables: dict[str, list[Cells]] = defaultdict(list)
    for answer in answers:
        dataset = DATASETS[answer.benchmark].get(answer.split)
        if dataset is not None:
            tables[dataset].append(_cells(answer))
    return [_write_table(out / f"{model}_{dataset}.tsv", rows) for dataset, rows in tables.items()]


def _cells(answer: Answered) -> Cells:
    raw, line = answer.raw, answer.line
    cells = {"index": line["id"], "question": text_of(raw["question"]), "answer": text_of(raw.get("answer"))}
    cells |= _CELLS[answer.benchmark](raw)
    return cells | {"prediction": line["response"], "verl_plugins_accuracy": line["accuracy"]}


def _mathvista(raw: Raw) -> Cells:
    choices = [text_of(choice) for choice in raw["choices"] or []]
    metadata = raw["metadata"]
    return {
        "question": text_of(raw["query"]),
        "question_type": raw["question_type"],
        "answer_type": raw["answer_type"],
        "choices": repr(choices),
        "answer_option": letter_of(text_of(raw["answer"]), choices) if choices else "",
        "task": metadata["task"],
        "skills": repr(list(metadata["skills"])),
    }


def _mathverse(raw: Raw) -> Cells:
    metadata = {key: value for key, value in raw["metadata"].items() if value is not None}
    return {
        "question_for_eval": text_of(raw.get("question_for_eval") or raw["question"]),
        "query_cot": text_of(raw["query_cot"]),
        "problem_version": raw["problem_version"],
        "question_type": raw["question_type"],
        "metadata": repr(metadata),
    }


def _math_vision(raw: Raw) -> Cells:
    options = [text_of(option) for option in raw["options"] or []]
    return {"choices": repr(options), "category": text_of(raw["subject"]), "level": text_of(raw["level"])}


def _hallusion_bench(raw: Raw) -> Cells:
    place = {key: text_of(raw[key]) for key in PLACE}
    order = ("category", "subcategory", "visual_input", "set_id", "figure_id", "question_id")
    return {
        "index": "_".join({**place, "visual_input": text_of(raw["visual_input"])}[key] for key in order),
        "category": place["category"],
        "l2-category": place["subcategory"],
        "answer": "Yes" if text_of(raw["gt_answer"]) == "1" else "No",
    }


def _we_math(raw: Raw) -> Cells:
    fields = {"index": raw["question number"], "ID": raw["ID"], "key": raw["key"]}
    options = dict(zip("ABCDEFGHIJ", options_of(raw["option"]), strict=False))
    return {**fields, "knowledge concept": raw["knowledge concept"], **options}


_CELLS: dict[str, Callable[[Raw], Cells]] = {
    "mathvista": _mathvista,
    "mathverse": _mathverse,
    "math_vision": _math_vision,
    "hallusion_bench": _hallusion_bench,
    "we_math": _we_math,
}


def _write_table(path: Path, rows: list[Cells]) -> Path:
    columns = dict.fromkeys(column for row in rows for column in row)
    text = io.StringIO()
    table = csv.DictWriter(text, columns, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, text.getvalue())
    return path
