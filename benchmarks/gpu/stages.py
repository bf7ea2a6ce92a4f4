"""The stages, each in its own process: if one crashes or hangs, the others still run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpu import ROOT
from gpu.line import Line

BUDGET_S = 1450.0  # the stages' limits are for machines that hang
LEAST_S = 20.0  # with less time left, no stage is started: importing verl takes about ten


@dataclass(frozen=True)
class Stage:
    """A module with ``measure(device)``, which yields lines.

    Args:
        name: name in STAGES="..." and on the page.
        title: what it measures.
        limit_s: seconds after which its process is killed.
        module: "" for "gpu." + name.
    """

    name: str
    title: str
    limit_s: float
    module: str = ""


STAGES = (
    Stage("kernel", "VEPO's Triton kernel: numbers against float64, offsets beyond 2^31, bytes a second", 120),
    Stage("hooks", "VEPO's counterfactual and SaEI's attack of a tiny model, against the CPU's float32", 150),
    Stage("fsdp2", "FSDP2 with bf16 mixed precision: the attack is the first forward, then an update", 150),
    Stage("true_size", "Qwen2.5-VL-3B's sizes, random weights: time and memory beside the plan", 180),
    Stage("entropy", "verl's entropy under torch.compile: compilations, time, memory", 150),
    Stage("training", "Ray, the FSDP2 actor and vLLM: all three methods trained, stopped and resumed", 880),
)


@dataclass
class Outcome:
    """Result of a stage.

    Args:
        stage: the stage.
        seconds: duration of its process.
        lines: lines that it wrote, if it failed those before the failure.
        failure: how it failed; "" if it did not.
        not_run: why it was not started; "" if it was.
    """

    stage: Stage
    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)
    failure: str = ""
    not_run: str = ""

    @property
    def is_failed(self) -> bool:
        return bool(self.failure or self.not_run) or any(line.is_ok is False for line in self.lines)


def run_stages(
    stages: Sequence[Stage],
    device: str,
    folder: Path,
    budget_s: float = BUDGET_S,
    on_outcome: Callable[[list[Outcome]], None] = lambda outcomes: None,
) -> list[Outcome]:
    """Run one stage after the other. After each, call ``on_outcome`` with all outcomes so far."""
    outcomes: list[Outcome] = []
    start = time.monotonic()
    for stage in stages:
        left = budget_s - (time.monotonic() - start)
        if left < min(LEAST_S, stage.limit_s):
            outcomes.append(Outcome(stage, not_run=f"no time was left of the {budget_s:.0f} s"))
        else:
            outcomes.append(run_stage(stage, device, folder, min(stage.limit_s, left)))
        on_outcome(outcomes)
    return outcomes


def run_stage(stage: Stage, device: str, folder: Path, limit_s: float) -> Outcome:
    """Run a stage for at most ``limit_s`` seconds; its log and its lines stay in ``folder``."""
    log, lines = folder / f"{stage.name}.log", folder / f"{stage.name}.jsonl"
    lines.unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "gpu.stage", stage.module or f"gpu.{stage.name}", device, lines]
    start = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(device), stdout=file, stderr=file, start_new_session=True
        )
        try:
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill_group(process)
    return Outcome(stage, time.monotonic() - start, _read(lines), _failure(code, limit_s, log))


def environment(device: str) -> dict[str, str]:
    """Environment of a stage's process; on a CPU with Triton's interpreter and, because sizes are small, one thread."""
    folders = (ROOT / "benchmarks", ROOT, ROOT / "tests" / "support", os.environ.get("PYTHONPATH", ""))
    path = os.pathsep.join(map(str, folders))
    inherited = {name: value for name, value in os.environ.items() if name != "VERL_PLATFORM"}
    variables = {**inherited, "PYTHONPATH": path.rstrip(os.pathsep), "TOKENIZERS_PARALLELISM": "false"}
    return variables if device == "cuda" else {**variables, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}


def _kill_group(process: subprocess.Popen) -> None:
    """Kill a stage and the compilers it started. A process that hangs in the driver is left after 10 s."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass


def _read(path: Path) -> list[Line]:
    text = path.read_text() if path.exists() else ""
    return [Line(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _failure(code: int | None, limit_s: float, log: Path) -> str:
    if code == 0:
        return ""
    if code is None:
        return f"killed after {limit_s:.0f} s, its limit; its log: {log.name}"
    cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-1:]
    return f"{cause}; its log, {log.name}, ends: {' '.join(last)[:300]}"
