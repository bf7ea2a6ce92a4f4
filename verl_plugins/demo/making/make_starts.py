"""Make the demo's starting models, which the package brings: about an hour on two cores.

    OMP_NUM_THREADS=1 python -m verl_plugins.demo.making.make_starts [--tasks TASK ...] [--out DIR] [--work DIR]

    OMP_NUM_THREADS=1 python -m verl_plugins.demo.making.make_starts --tasks TASK --again [--out DIR] [--work DIR]

writes DIR/TASK/ with the weights in half precision, the processor and `start.json`: how it was made, how well it
answers, and the SHA-256 of each file. An interrupted call goes on after the last finished stage, which it kept in the
folder of `--work`. The same code and seed may end in other weights on another machine; therefore the files themselves
are kept, and runs that begin with them pair everywhere. `--again` takes half an hour after a change of the texts alone:
it teaches them to the start that the package brings, in that start's vocabulary.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from verl_plugins.demo.assets import FACTS, STARTS
from verl_plugins.demo.making.quality import Quality, measure
from verl_plugins.demo.making.warmup import WarmUp, embed_images, teach_answers, teach_captions, teach_vision
from verl_plugins.demo.tasks import TASKS, Task
from verl_plugins.demo.tiny_vlm import build_tiny_vlm

EVALUATION_ROWS = 256
AGAIN = WarmUp(caption_steps=1000, learning_rate=1.5e-3)  # lower and shorter: the start knows much


def make_start(task: Task, tasks: Mapping[str, Task], out: Path, work: Path, settings: WarmUp) -> Quality:
    """Train a task's starting model and write it to `out`; returns how well it answers rows of the split "val".

    Args:
        task: the task.
        tasks: all tasks, whose pictures the vision tower learns from.
        out: folder to write.
        work: folder in which finished stages are kept for a later call, also for those of another task.
        settings: sizes of the warm-up.
    """
    work.mkdir(parents=True, exist_ok=True)
    random = work / f"{task.name}-random"
    build_tiny_vlm(random, task, settings.seed)
    processor = AutoProcessor.from_pretrained(random)
    model = AutoModelForImageTextToText.from_pretrained(random)
    tower = model.model.visual
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        _once(work / "vision.safetensors", tower, lambda: teach_vision(model, processor, tasks.values(), settings))
        _teach_language(model, processor, task, work / task.name, settings)
    return _write(out, task, model, random, settings)


def make_start_again(task: Task, before: Path, out: Path, work: Path, settings: WarmUp = AGAIN) -> Quality:
    """Teach a start the task's present texts and write it to `out`; returns how well it answers, as `make_start`.

    Args:
        task: the task.
        before: the start, whose vision tower and vocabulary stay as they are.
        out: folder to write.
        work: folder in which finished stages are kept for a later call.
        settings: sizes of the warm-up, of which those of the vision tower are not used.
    """
    work.mkdir(parents=True, exist_ok=True)
    digits = _sha256(before / "model.safetensors")[:8]
    processor = AutoProcessor.from_pretrained(before)
    model = AutoModelForImageTextToText.from_pretrained(before)
    with torch.random.fork_rng():
        _teach_language(model, processor, task, work / f"{task.name}-{digits}", settings)
    return _write(out, task, model, before, settings, before=digits)


def _teach_language(model, processor, task: Task, kept: Path, settings: WarmUp) -> None:
    """Teach captions, right answers if the task has steps for them, and habits; `kept` begins the names of stages."""
    language = nn.ModuleList([model.model.language_model, model.lm_head])
    rows = [task.make_row(index, "warmup", settings.seed) for index in range(settings.text_rows)]
    tokens = embed_images(model, processor, rows)
    torch.manual_seed(settings.seed)
    captions = kept.with_name(f"{kept.name}-captions.safetensors")
    _once(captions, language, lambda: teach_captions(model, processor, task, tokens, settings))
    torch.manual_seed(settings.seed)
    if task.right_steps:
        right = kept.with_name(f"{kept.name}-right.safetensors")
        _once(right, language, lambda: teach_answers(model, processor, task, rows, tokens, settings, has_habits=False))
        torch.manual_seed(settings.seed)
    teach_answers(model, processor, task, rows, tokens, settings, has_habits=True)


def _write(out: Path, task: Task, model, words: Path, settings: WarmUp, before: str | None = None) -> Quality:
    """Write a start with its facts, measured as it is written: in half precision.

    Args:
        words: folder of the processor, whose files are copied: saved after its use, a tokenizer keeps how it padded.
        before: the start that it comes from.
    """
    if out.resolve() != words.resolve():
        shutil.copytree(words, out, ignore=shutil.ignore_patterns(FACTS, "*.safetensors"), dirs_exist_ok=True)
    processor = AutoProcessor.from_pretrained(words)
    model.half().float()
    val = [task.make_row(index, "val", settings.seed) for index in range(EVALUATION_ROWS)]
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        quality = measure(model, processor, task, val)
    model.half().save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    _keep_dtype(out / "config.json")
    files = {path.name: _sha256(path) for path in sorted(out.iterdir()) if path.name != FACTS}
    made = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    warm_up = asdict(settings) | {"right_steps": task.right_steps, "answer_steps": task.answer_steps}
    facts = {"task": task.name, **({"before": before} if before else {}), "warm_up": warm_up, **made}
    facts |= {"quality": asdict(quality), "sha256": files}
    (out / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
    return quality


def _once(kept: Path, module: nn.Module, train: Callable[[], None]) -> None:
    """Train a part of the model, or load what an earlier call kept of it."""
    if kept.is_file():
        module.load_state_dict(load_file(kept))
        return
    train()
    unfinished = kept.with_suffix(".unfinished")
    save_file(module.state_dict(), unfinished)
    os.replace(unfinished, kept)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _keep_dtype(config: Path) -> None:
    """Let whoever loads the half-precision weights compute in float32, as on a CPU."""
    text = config.read_text()
    config.write_text(text.replace('"dtype": "float16"', '"dtype": "float32"'))


def main() -> None:
    """Command line of `python -m verl_plugins.demo.making.make_starts`."""
    parser = argparse.ArgumentParser(
        prog="python -m verl_plugins.demo.making.make_starts", description="Make the demo's starting models."
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all")
    parser.add_argument("--out", type=Path, default=STARTS, help="folder to write (default: the package's)")
    parser.add_argument(
        "--work", type=Path, default=Path(".cache/starts"), help="finished stages (default: %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="go on from the package's start: teach the texts alone")
    arguments = parser.parse_args()
    for name in arguments.tasks:
        out = arguments.out / name
        if arguments.again:
            quality = make_start_again(TASKS[name], STARTS / name, out, arguments.work)
        else:
            quality = make_start(TASKS[name], TASKS, out, arguments.work, WarmUp())
        print(f"{name}:", *(f"  {key}: {value}" for key, value in asdict(quality).items()), sep="\n")


if __name__ == "__main__":
    main()
