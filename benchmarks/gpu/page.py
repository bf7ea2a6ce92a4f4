"""The page: facts about the machine and the code, a table for each stage, what was not run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from gpu import ROOT
from gpu.stages import STAGES, Outcome

HEAD = {
    "cuda": "# Run on a GPU: {hardware}",
    "cpu": "# Rehearsed on a CPU: no figure here is a GPU's",
}
NEVER = "several GPUs, vLLM and training at a real model's size, weights of a trained VLM"
PACKAGES = ("triton", "transformers", "verl", "ray", "vllm", "flash-attn")


def facts(device: str, names: Sequence[str]) -> dict[str, str]:
    """Describe the machine, the versions, the commit, the time and the command, by name."""
    described = {"hardware": _gpu() if device == "cuda" else _cpu()}
    described |= {"Python": platform.python_version(), "torch": _torch()} | {name: _version(name) for name in PACKAGES}
    is_changed = " and changes" if _output("git", "status", "--porcelain", "--untracked-files=no") else ""
    described["commit"] = (_output("git", "rev-parse", "--short", "HEAD") or "unknown") + is_changed
    described["date"] = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    chosen = "" if len(names) == len(STAGES) else f'STAGES="{" ".join(names)}" '
    described["command"] = f"DEVICE={device} {chosen}make gpu"
    return described


def write_page(folder: Path, device: str, run_facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> None:
    """Write page.md, and page.json with the raw numbers, to ``folder``."""
    (folder / "page.md").write_text(page(device, run_facts, outcomes))
    stages = [
        {
            "name": outcome.stage.name,
            "seconds": outcome.seconds,
            "failure": outcome.failure,
            "not_run": outcome.not_run,
            "lines": [asdict(line) for line in outcome.lines],
        }
        for outcome in outcomes
    ]
    text = json.dumps({"device": device, "facts": dict(run_facts), "stages": stages}, indent=1)
    (folder / "page.json").write_text(text + "\n")


def page(device: str, run_facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    """The page in Markdown."""
    lines = [line for outcome in outcomes for line in outcome.lines]
    failed = sum(line.is_ok is False for line in lines) + sum(bool(outcome.failure) for outcome in outcomes)
    text = [HEAD[device].format(hardware=run_facts["hardware"]), ""]
    text += [f"- {name}: {value}" for name, value in run_facts.items()]
    text += ["", f"**{sum(line.is_ok is True for line in lines)} ok, {failed} FAIL.**"]
    for outcome in outcomes:
        if not outcome.not_run:
            text += ["", f"## {outcome.stage.name}", "", f"{outcome.stage.title}. {outcome.seconds:.0f} s.", ""]
            text += _table(outcome)
    text += ["", "## Not run", ""]
    text += [f"- {outcome.stage.name}: {outcome.not_run}" for outcome in outcomes if outcome.not_run]
    started = {outcome.stage.name for outcome in outcomes}
    text += [f"- {stage.name}: not asked for" for stage in STAGES if stage.name not in started]
    for outcome in outcomes:
        skipped = (line for line in outcome.lines if not line.was_run)
        text += [f"- {outcome.stage.name}: {line.what}: {line.figure}" for line in skipped]
    return "\n".join([*text, f"- by any stage: {NEVER}"]) + "\n"


def _table(outcome: Outcome) -> list[str]:
    rows = [
        (line.what, line.figure, line.expected, {True: "ok", False: "**FAIL**", None: ""}[line.is_ok])
        for line in outcome.lines
        if line.was_run
    ]
    if outcome.failure:
        rows.append(("the stage itself", outcome.failure, "ends by itself", "**FAIL**"))
    escaped = (" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows)
    return ["| what | figure | expected | |", "|---|---|---|---|", *(f"| {row} |" for row in escaped)]


def _gpu() -> str:
    """Name, memory and driver version of the GPUs, from nvidia-smi."""
    return _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader") or "unknown"


def _cpu() -> str:
    with open("/proc/cpuinfo") as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "")
    return f"{len(os.sched_getaffinity(0))} cores, {model or platform.processor() or 'unknown'}"


def _torch() -> str:
    """Version of torch with the CUDA that it was built for, or the error of importing it."""
    try:
        import torch
    except ImportError as error:
        return str(error)
    return torch.__version__


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _output(*command: str) -> str:
    """Output of a command on one line; "" if there is no such command or it fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(done.stdout.strip().splitlines())
