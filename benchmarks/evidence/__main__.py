"""Every method against GRPO at equal budget: trains what is missing, keeps the metrics, writes docs/evidence.md.

    PYTHONPATH=benchmarks python -m evidence [--only TEXT ...] [--seeds 1 2] [--steps 30] [--out DIR]    train and write
    PYTHONPATH=benchmarks python -m evidence --tables                                                    write

Runs of the demo (real verl, FSDP2, vLLM on the CPU, four to nine minutes each on two cores), 8 prompts x 8 responses a
step, one after the other. Runs of one seed see the same prompts and draw the same random numbers for each response. A
run whose metrics are kept in ``data`` is not made again, so this can be stopped and started. The demo's warm-up
may end in other weights on another machine: runs from them are kept beside, and compared among themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from demo_runs import train

from evidence.page import write_page
from evidence.variants import VARIANTS, Variant
from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.report.metrics import read_json_lines

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
PAGE = ROOT / "docs" / "evidence.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="evidence", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[""], metavar="TEXT", help="of `part/key`, as methods/reasoning")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 1 to 3, and to 5 where a paper's claim is")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("outputs/evidence"), help="run directories")
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"), help="model and data of the demo")
    parser.add_argument("--tables", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    wanted = [v for v in VARIANTS if any(text in f"{v.part}/{v.key}" for text in arguments.only)]
    if not wanted:
        known = ", ".join(f"{v.part}/{v.key}" for v in VARIANTS)
        parser.error(f"--only: got {' '.join(arguments.only)}, expected a part of one of {known}")
    runs = sorted((seed, number) for number, v in enumerate(wanted) for seed in arguments.seeds or v.seeds)
    for seed, number in [] if arguments.tables else runs:
        variant = wanted[number]
        start = start_of(ensure_demo_assets(cache, TASKS[variant.task])[0])
        kept = DATA / f"{variant.key}_seed{seed}_{start}.json"
        if not kept.is_file():
            run_dir = arguments.out.resolve() / kept.stem
            print(f"{variant.task}: {variant.name}, seed {seed}", file=sys.stderr, flush=True)
            train(run_dir, cache, variant.task, variant.method, seed, arguments.steps, variant.overrides)
            keep(run_dir, kept, variant, start, seed, arguments.steps)
            shutil.rmtree(run_dir)
            write_page(DATA, PAGE)
    write_page(DATA, PAGE)


def keep(run_dir: Path, kept: Path, variant: Variant, start: str, seed: int, steps: int) -> None:
    """A run's metrics, compressed, and beside them what it was and how its validation answers scored."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "name": variant.name,
        "task": variant.task,
        "part": variant.part,
        "start": start,
        "seed": seed,
        "steps": steps,
        "options": variant.options,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "validation": {path.stem: scores(path) for path in sorted((run_dir / "validation").glob("*.jsonl"))},
    }
    kept.with_suffix(".metrics.jsonl.xz").write_bytes(lzma.compress((run_dir / "attempts" / "000.jsonl").read_bytes()))
    kept.write_text(json.dumps(facts) + "\n")  # last: with it, the run counts as kept


def start_of(model: Path) -> str:
    """The weights that a run begins with, in eight hexadecimal digits."""
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:8]


def scores(dump: Path) -> list[float]:
    """The quality of each validation answer: IoU, or 1.0 for a right word."""
    return [row["iou"] if "iou" in row else row["accuracy"] for row in read_json_lines(dump)[0]]


def commit() -> str:
    """Of the code that ran; "+" where it was changed."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--", "verl_plugins", "data_prep", "reward_fns") else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def hardware() -> str:
    """The processor's name and number of cores."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


if __name__ == "__main__":
    main()
