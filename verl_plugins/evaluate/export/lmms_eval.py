"""lmms-eval's log of a run: MODEL/DATE_samples_TASK.jsonl, which its `--baseline` reads, and MODEL/DATE_results.json.

The fields are those of its `evaluation_tracker.py` (EvolvingLMMs-Lab/lmms-eval 0.7). `filtered_resps` is the whole
response; the metric is `verl_plugins_score`, the accuracy by the rule of this package. `doc_id` is the row's number in
its file, which is lmms-eval's own for the Hub's parquet. `doc_hash` covers the row without its image.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from verl_plugins.evaluate import intervals
from verl_plugins.evaluate.export.answered import Answered

TASKS = {
    "mathvista": {"testmini": "mathvista_testmini_format"},
    "mathverse": {"testmini": "mathverse_testmini", "testmini_text_only": "mathverse_testmini_text_only"},
    "math_vision": {"test": "mathvision_test", "testmini": "mathvision_testmini"},
    "hallusion_bench": {"image": "hallusion_bench_image"},
    "we_math": {"testmini": "wemath_testmini_reasoning"},
}
"""lmms-eval's task by benchmark and split."""

METRIC = "verl_plugins_score"
Sample = dict[str, Any]


def write(answers: Iterable[Answered], model: str, out: Path, date: datetime) -> list[Path]:
    """Write the samples of each task and the results, and return their paths; answers to other questions are left out.

    Args:
        answers: the answers.
        model: the model's name.
        out: folder for the folder MODEL.
        date: when the evaluation ended.

    Raises:
        SystemExit: a task has two files, so that its rows have no numbers of their own.
    """
    by_task: dict[str, list[Sample]] = defaultdict(list)
    file_of_task: dict[str, int] = {}
    for answer in answers:
        task = TASKS[answer.benchmark].get(answer.split)
        if task is None:
            continue
        if file_of_task.setdefault(task, answer.line["file"]) != answer.line["file"]:
            raise SystemExit(f"export: got two files of {task}, expected one, whose row numbers are lmms-eval's doc_id")
        by_task[task].append(_sample(answer))
    if not by_task:
        return []
    folder, stamp = out / model, date.strftime("%Y%m%d_%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for task, samples in by_task.items():
        paths.append(folder / f"{stamp}_samples_{task}.jsonl")
        write_atomically(paths[-1], "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples))
    paths.append(folder / f"{stamp}_results.json")
    write_atomically(paths[-1], json.dumps(_results(by_task, model, stamp), indent=2, ensure_ascii=False))
    return paths


def _sample(answer: Answered) -> Sample:
    line = answer.line
    document = {key: value for key, value in answer.raw.items() if not _is_image(value)}
    return {
        "doc_id": line["row"],
        "target": line["gold"],
        "filtered_resps": line["response"],
        "token_counts": [{"output_tokens": line["tokens"]}],
        "doc_hash": _sha256(json.dumps(document, indent=2, default=str, ensure_ascii=False)),
        METRIC: line["accuracy"],
        "input": line["question"],
    }


def _results(by_task: dict[str, list[Sample]], model: str, stamp: str) -> dict[str, Any]:
    results, counts, hashes = {}, {}, {}
    for task, samples in by_task.items():
        share = intervals.proportion([sample[METRIC] == 1.0 for sample in samples]).value
        results[task] = {"alias": task, f"{METRIC},none": share}
        counts[task] = {"original": len(samples), "effective": len(samples)}
        hashes[task] = _sha256("".join(f"sample_{n}{sample['doc_hash']}" for n, sample in enumerate(samples)))
    return {
        "results": results,
        "configs": {task: {"task": task, "score_key": METRIC} for task in by_task},
        "n-samples": counts,
        "config": {"model": "verl-plugins", "model_args": f"pretrained={model}"},
        "date": stamp,
        "task_hashes": hashes,
        "model_name": model,
    }


def _is_image(value: Any) -> bool:
    return isinstance(value, bytes) or (isinstance(value, dict) and isinstance(value.get("bytes"), bytes))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
