"""Kill one run again and again: is each loss reported in bounded time, and are the metrics those of an unbroken run?

    PYTHONPATH=benchmarks python -m robustness.chaos
        [--out DIR] [--method ecvgpo] [--kills 20] [--kinds driver ...] [--seed 1]

Trains the demo's task twice with the same command. In one run, a process gets SIGKILL at random moments after a new
checkpoint, each kind of process in turn, and the command is started again; the other run is unbroken. Prints a Markdown
table of the kills, and how many metrics of how many steps are equal in both runs: to the last bit, or within 1e-4 for
metrics that compare the actor's log-probabilities with vLLM's, because vLLM's rounding depends on how its batches fall.
verl logs a step after it has saved the checkpoint and sent the weights; a step killed in between has no line. Takes two
minutes per kill on two cores. With --kills 0, two unbroken runs are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import time
from pathlib import Path

import psutil
from demo_runs import attempt, metrics_of, refuse_used

from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command
from verl_plugins.demo.watchdog import marked_processes

KINDS = {  # kind -> a part of its process's command line
    "driver": "verl.trainer.main_ppo",
    "trainer": "ray::TaskRunner",
    "FSDP worker": "WorkerDict",
    "vLLM server": "ray::vLLMHttpServer",
    "reward worker": "ray::RewardLoopWorker",
    "agent loop worker": "ray::AgentLoopWorker",
    "vLLM engine": "VLLM::EngineCore",
    "queue's storage": "ray::SimpleStorageUnit",
    "queue's controller": "ray::TransferQueueController",
}
EVERY_STEP = ["trainer.save_freq=1", "trainer.val_before_train=false", "trainer.test_freq=-1"]
MACHINE_METRICS = ("timing", "perf/")  # parts of the names of metrics that describe the machine, not the training
SERVER_METRICS = ("rollout_corr/", "training/rollout_", "saei/log_prob_mismatch", "saei/self_information")
"""Prefixes of metrics of vLLM's log-probabilities, whose rounding depends on how vLLM's batches fall."""
ROUNDING = 1e-4


def process_of(kind: str, mark: str) -> psutil.Process | None:
    """Find a process of that kind in a run.

    Args:
        kind: a key of KINDS.
        mark: the mark in the environment of the run's processes.

    Returns:
        The process, or None if there is none.
    """
    for process in marked_processes(mark):
        with contextlib.suppress(psutil.NoSuchProcess):
            if KINDS[kind] in " ".join(process.cmdline()):
                return process
    return None


class Killer:
    """Kills one process of a kind, ``delay_s`` seconds after the first new checkpoint. Called while a run trains.

    Args:
        kind: a key of KINDS.
        run_dir: folder with ``checkpoints`` and ``processes.txt``, which holds the mark of the run's processes.
        delay_s: seconds.
    """

    def __init__(self, kind: str, run_dir: Path, delay_s: float):
        self.kind, self.run_dir, self.delay_s = kind, run_dir, delay_s
        self.before = self.saved()
        self.due: float | None = None
        self.killed_at: float | None = None

    def saved(self) -> int:
        """Step of the last complete checkpoint, 0 if there is none."""
        latest = self.run_dir / "checkpoints" / "latest_checkpointed_iteration.txt"
        return int(latest.read_text() or 0) if latest.is_file() else 0

    def __call__(self) -> None:
        if self.due is None and self.saved() > self.before:
            self.due = time.monotonic() + self.delay_s
        if self.killed_at is None and self.due is not None and time.monotonic() >= self.due:
            process = process_of(self.kind, (self.run_dir / "processes.txt").read_text())
            if process is not None:
                process.kill()
                self.killed_at = time.monotonic()


def training_metrics(steps: dict[int, dict]) -> dict[int, dict]:
    """Metrics by step, without those that describe the machine."""
    return {
        step: {name: value for name, value in row.items() if not any(part in name for part in MACHINE_METRICS)}
        for step, row in steps.items()
    }


def differences(whole: dict[int, dict], broken: dict[int, dict]) -> list[str]:
    """List the metrics that differ in steps that both runs logged; SERVER_METRICS may differ by ROUNDING."""
    lines = []
    for step in sorted(whole.keys() & broken.keys()):
        for name in sorted(whole[step].keys() | broken[step].keys()):
            first, second = whole[step].get(name, math.inf), broken[step].get(name, -math.inf)
            allowed = ROUNDING if name.startswith(SERVER_METRICS) else 0.0
            if not (abs(first - second) <= allowed or (math.isnan(first) and math.isnan(second))):
                lines.append(f"step {step}: {name}: {first!r} against {second!r}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/chaos"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"))
    parser.add_argument("--method", default="ecvgpo")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, out = random.Random(arguments.seed), arguments.out.resolve()
    task = TASKS["reasoning" if "vepo" in arguments.method else "grounding"]
    model, data = ensure_demo_assets(arguments.cache.resolve(), task)
    broken, steps = out / "broken", 3 * arguments.kills + 6
    refuse_used(out)

    def command(run_dir: Path) -> list[str]:
        return training_command(model, data, run_dir, task, arguments.method, steps, EVERY_STEP)

    print("| kind | killed after step | s to the end | reported |\n|---|---|---|---|")
    for number in range(arguments.kills):
        kind = arguments.kinds[number % len(arguments.kinds)]
        killer = Killer(kind, broken, rng.uniform(0, 4))
        error = attempt(command(broken), broken, number, killer)
        if killer.killed_at is None:
            raise SystemExit(f"the run ended before its {kind} was killed: {error}")
        took = time.monotonic() - killer.killed_at
        reported = "-" if kind == "driver" else "yes" if error and "was lost" in error else f"NO: {error}"
        print(f"| {kind} | {killer.saved()} | {took:.0f} | {reported} |", flush=True)
    for run_dir, number in ((broken, arguments.kills), (out / "whole", 0)):
        error = attempt(command(run_dir), run_dir, number)
        if error is not None:
            raise SystemExit(f"{run_dir}: {error}")
    whole = training_metrics(metrics_of(out / "whole"))
    resumed = training_metrics(metrics_of(broken))
    lines = differences(whole, resumed)
    total = sum(len(row) for step, row in whole.items() if step in resumed)
    print(f"\n{total - len(lines)} of {total} metrics of {len(resumed)} steps are the same", *lines, sep="\n")
    print(f"saved and not logged before a kill: steps {sorted(whole.keys() - resumed.keys())}")


if __name__ == "__main__":
    main()
