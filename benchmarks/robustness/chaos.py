"""One run killed again and again: is each end told in bounded time, and does the last equal an unbroken run?

    PYTHONPATH=benchmarks python -m robustness.chaos
        [--out DIR] [--method ecvgpo] [--kills 20] [--kinds driver ...] [--seed 1]

Trains the demo's task once unbroken, then with the same command once more; there, at random moments after a new
checkpoint, a process gets SIGKILL, of each of the kinds in turn, and the command is started again. Prints a Markdown
table of the kills, and how many metrics of how many steps are the same in both, to the last bit (those that compare the
actor's log-probabilities with vLLM's: within 1e-4, since vLLM rounds as its batches happen to come). verl logs a step
after its checkpoint and the sending of weights: killed between them, that step has no line. Two minutes a kill on two
cores. With --kills 0, two unbroken runs are compared.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import time
from pathlib import Path

from demo_runs import attempt, metrics_of, refuse_used

from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command
from verl_plugins.demo.watchdog import marked_processes

KINDS = {  # what a kind's process calls itself
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
OF_THE_MACHINE = ("timing", "perf/")  # in the names of metrics that tell of the machine, and not of the training
OF_THE_SERVER = ("rollout_corr/", "training/rollout_", "saei/log_prob_mismatch", "saei/self_information")
"""Metrics of vLLM's log-probabilities: it rounds as its batches come."""
ROUNDING = 1e-4


def process_of(kind: str, mark: str) -> int | None:
    """The id of a run's process of that kind."""
    for pid in marked_processes(mark):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if KINDS[kind] in title:
            return pid
    return None


class Killer:
    """Called while a run trains: kills one process of a kind, ``delay_s`` seconds after the first new checkpoint.

    Args:
        kind: a name of KINDS.
        run_dir: holds ``checkpoints`` and ``processes.txt``, the mark of the run's processes.
        delay_s: seconds.
    """

    def __init__(self, kind: str, run_dir: Path, delay_s: float):
        self.kind, self.run_dir, self.delay_s = kind, run_dir, delay_s
        self.before = self.saved()
        self.due: float | None = None
        self.killed_at: float | None = None

    def saved(self) -> int:
        """The step of the last whole checkpoint."""
        latest = self.run_dir / "checkpoints" / "latest_checkpointed_iteration.txt"
        return int(latest.read_text() or 0) if latest.is_file() else 0

    def __call__(self) -> None:
        if self.due is None and self.saved() > self.before:
            self.due = time.monotonic() + self.delay_s
        if self.killed_at is None and self.due is not None and time.monotonic() >= self.due:
            pid = process_of(self.kind, (self.run_dir / "processes.txt").read_text())
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self.killed_at = time.monotonic()


def of_the_training(steps: dict[int, dict]) -> dict[int, dict]:
    """Metrics by step, without those that tell of the machine."""
    return {
        step: {name: value for name, value in row.items() if not any(part in name for part in OF_THE_MACHINE)}
        for step, row in steps.items()
    }


def differences(whole: dict[int, dict], broken: dict[int, dict]) -> list[str]:
    """What is not the same to the last bit, or of vLLM's log-probs within ROUNDING, in steps that both have logged."""
    lines = []
    for step in sorted(whole.keys() & broken.keys()):
        for name in sorted(whole[step].keys() | broken[step].keys()):
            first, second = whole[step].get(name, math.inf), broken[step].get(name, -math.inf)
            allowed = ROUNDING if name.startswith(OF_THE_SERVER) else 0.0
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
    chance, out = random.Random(arguments.seed), arguments.out.resolve()
    task = TASKS["reasoning" if "vepo" in arguments.method else "grounding"]
    model, data = ensure_demo_assets(arguments.cache.resolve(), task)
    broken, steps = out / "broken", 3 * arguments.kills + 6
    refuse_used(out)

    def command(run_dir: Path) -> list[str]:
        return training_command(model, data, run_dir, task, arguments.method, steps, EVERY_STEP)

    print("| kind | killed after step | s to the end | told |\n|---|---|---|---|")
    for number in range(arguments.kills):
        kind = arguments.kinds[number % len(arguments.kinds)]
        killer = Killer(kind, broken, chance.uniform(0, 4))
        last_words = attempt(command(broken), broken, number, killer)
        if killer.killed_at is None:
            raise SystemExit(f"the run ended before its {kind} was killed: {last_words}")
        took = time.monotonic() - killer.killed_at
        told = "-" if kind == "driver" else "yes" if last_words and "was lost" in last_words else f"NO: {last_words}"
        print(f"| {kind} | {killer.saved()} | {took:.0f} | {told} |", flush=True)
    for run_dir, number in ((broken, arguments.kills), (out / "whole", 0)):
        failed = attempt(command(run_dir), run_dir, number)
        if failed is not None:
            raise SystemExit(f"{run_dir}: {failed}")
    whole = of_the_training(metrics_of(out / "whole"))
    told = of_the_training(metrics_of(broken))
    found = differences(whole, told)
    total = sum(len(row) for step, row in whole.items() if step in told)
    print(f"\n{total - len(found)} of {total} metrics of {len(told)} steps are the same", *found, sep="\n")
    print(f"saved and not logged before a kill: steps {sorted(whole.keys() - told.keys())}")


if __name__ == "__main__":
    main()
