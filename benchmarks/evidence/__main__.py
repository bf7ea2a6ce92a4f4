"""Every method against GRPO at equal budget: train what is missing, keep the metrics, write docs/evidence.md.

    PYTHONPATH=benchmarks python -m evidence [--only NAME ...] [--seeds 1 2] [--steps N] [--out DIR]    train and write
    PYTHONPATH=benchmarks python -m evidence --tables                                                   write

Trains the demo (real verl, FSDP2, vLLM on the CPU) with 8 prompts x 8 responses per step, one run after the other, ten
to thirty minutes each on two cores. Every run of a task begins with the start that the package brings; runs with one
seed see the same prompts and draw the same random numbers for each response. A run whose metrics are kept in ``data``
is not repeated, so the command can be stopped and started again, also on another machine.
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
from fnmatch import fnmatchcase
from pathlib import Path

from demo_runs import train

from evidence.attacked import CHECKPOINT, answers_under_attack
from evidence.page import write_page
from evidence.variants import STEPS, VARIANTS, Variant
from evidence.vepo_selection import SUFFIX as TOKENS
from evidence.vepo_selection import keep_tokens
from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.report.metrics import read_json_lines
from verl_plugins.report.validation_rows import ValidationRows

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
PAGE = ROOT / "docs" / "evidence.md"
ROWS = {"train": 2048, "val": 512, "ood": 512}
VALIDATIONS = 4  # in a run, at equal distances, the last after the last step
GREEDY = ("actor_rollout_ref.rollout.val_kwargs.do_sample=false", "actor_rollout_ref.rollout.val_kwargs.temperature=0")


def main() -> None:
    parser = argparse.ArgumentParser(prog="evidence", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="*",
        default=["*"],
        metavar="NAME",
        help="`part/key`, with * for any text: methods/reasoning_vepo, 'methods/reasoning_*'",
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="default: those of each variant")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=Path("outputs/evidence"), help="run directories")
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"), help="data")
    parser.add_argument("--tables", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    variants = [v for v in VARIANTS if any(fnmatchcase(f"{v.part}/{v.key}", name) for name in arguments.only)]
    if not variants:
        known = ", ".join(f"{v.part}/{v.key}" for v in VARIANTS)
        parser.error(f"--only: got {' '.join(arguments.only)}, expected, with * for any text, one of {known}")
    runs = sorted(
        (seed, number) for number, v in enumerate(variants) for seed in arguments.seeds or range(1, v.seeds + 1)
    )
    missing = []
    for seed, number in [] if arguments.tables else runs:
        variant = variants[number]
        start = start_of(ensure_demo_assets(cache, TASKS[variant.task], ROWS)[0])
        kept = DATA / f"{variant.key}_seed{seed}_{start}.json"
        if kept.is_file():
            check_kept(kept, variant, arguments.steps)
        else:
            missing.append((variant, seed, start, kept))
    for variant, seed, start, kept in missing:
        run_dir = arguments.out.resolve() / kept.stem
        print(f"{variant.task}: {variant.name}, seed {seed}", file=sys.stderr, flush=True)
        overrides = [*variant.settings, *GREEDY, f"trainer.test_freq={arguments.steps // VALIDATIONS}"]
        overrides += [*CHECKPOINT, f"trainer.save_freq={arguments.steps}"] if variant.attacked else []
        code = commit()  # before training, which takes so long that another may be checked out
        train(run_dir, cache, variant.task, variant.method, seed, arguments.steps, overrides, ROWS)
        data = ensure_demo_assets(cache, TASKS[variant.task], ROWS)[1]
        keep(run_dir, data, kept, variant, start, seed, arguments.steps, code)
        shutil.rmtree(run_dir)
        write_page(DATA, PAGE)
    write_page(DATA, PAGE)


def check_kept(kept: Path, variant: Variant, steps: int) -> None:
    """Refuse to take a kept run for one with other options or another number of steps.

    Raises:
        SystemExit: it was trained with others.
    """
    facts = json.loads(kept.read_text())
    for name, expected in (("options", variant.options), ("steps", steps)):
        if facts[name] != expected:
            raise SystemExit(
                f"{kept}: {name}: got {facts[name]}, expected {expected}; remove the file to train it again"
            )


def keep(run_dir: Path, data: Path, kept: Path, variant: Variant, start: str, seed: int, steps: int, code: str) -> None:
    """Keep a run's compressed metrics and tokens, and a JSON file that describes it and holds its validation scores.

    Args:
        run_dir: folder of the run.
        data: folder of its data.
        kept: the JSON file to write; the others get its name with another suffix.
        start: the weights that the run began with (``start_of``).
        code: commit of the code that ran.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "name": variant.name,
        "task": variant.task,
        "part": variant.part,
        "start": start,
        "seed": seed,
        "steps": steps,
        "options": variant.options,
        "commit": code,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "validation": {path.stem: scores(path, data) for path in sorted((run_dir / "validation").glob("*.jsonl"))},
    }
    if variant.attacked:
        facts["attacked"] = answers_under_attack(
            run_dir, steps, data / "val.parquet", TASKS[variant.task].max_response_length
        )
    if variant.keeps_tokens:
        keep_tokens(run_dir / "tokens", (1, steps), kept.with_suffix(TOKENS))
    kept.with_suffix(".metrics.jsonl.xz").write_bytes(lzma.compress((run_dir / "attempts" / "000.jsonl").read_bytes()))
    kept.write_text(json.dumps(facts) + "\n")  # written last: a run with this file counts as kept


def start_of(model: Path) -> str:
    """Hash of the weights that a run begins with: the first eight digits of their SHA-256."""
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:8]


def scores(dump: Path, data: Path) -> dict[str, list[float]]:
    """Quality of each validation answer by split, "val" and "ood": the IoU, or 1.0 for a right sum."""
    splits = ("val", "ood")
    rows = ValidationRows([data / f"{split}.parquet" for split in splits])
    qualities: dict[str, list[float]] = {split: [] for split in splits}
    for row in read_json_lines(dump)[0]:
        split = "ood" if rows.source(row["input"], row["gts"]).endswith("_ood") else "val"
        qualities[split].append(round(row["iou"] if "iou" in row else row["accuracy"], 4))
    return qualities


def commit() -> str:
    """Commit of the code that runs, with "+" if it has changes."""
    head = _git("rev-parse", "--short", "HEAD")
    code = ("verl_plugins", "data_prep", "reward_fns", "benchmarks/*.py")
    return head + ("+" if _git("status", "--porcelain", "--", *code) else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def hardware() -> str:
    """Name of the processor and number of cores."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


if __name__ == "__main__":
    main()
