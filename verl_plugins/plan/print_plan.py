"""``verl-plugins plan RECIPE --gpus 8 --memory 80``: estimates a recipe's memory and advises what to turn down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_plugins.plan.advice import Machines, advice, fits
from verl_plugins.plan.host import Phase, pixel_bytes
from verl_plugins.plan.memory import Plan, plan
from verl_plugins.plan.shape import ModelShape, shape_of
from verl_plugins.plan.workload import GIB, Workload, workload_of


def run_plan(
    recipe: Path, gpus: int, nodes: int, memory_gib: float, host_memory_gib: float | None, overrides: Sequence[str]
) -> int:
    """Print the plan of a recipe on ``nodes`` machines of ``gpus`` GPUs; returns 0 if it fits, else 1."""
    try:
        config = composed_by(recipe, gpus, nodes, overrides)
        model = config.actor_rollout_ref.model.path
        shape = shape_of(model)
    except ValueError as error:
        print(f"verl-plugins: {error}")
        return 1
    load = workload_of(config)
    machines = Machines(int(memory_gib * GIB), None if host_memory_gib is None else int(host_memory_gib * GIB))
    estimate = plan(shape, load, machines.gpu)
    print(f"{model}: {shape.parameters / 1e9:.2f} billion parameters, {load.gpus} GPUs of {memory_gib:g} GiB")
    print(f"estimated GiB of each GPU; {recipe.name} was not run for it\n")
    print(table(estimate.phases))
    print(f"\n{_limits(shape, load, estimate)}")
    print("\nestimated GiB of a machine's own memory, beside Python, Ray and the data set\n")
    print(table(estimate.host))
    print(f"\n{_images(shape, load)}\n")
    if fits(estimate, machines):
        print(f"fits: {_largest(estimate, machines)}")
        return 0
    overrides, after = advice(shape, load, machines)
    print(f"does not fit: {_largest(estimate, machines)}")
    if estimate.cache_lack:
        print(
            f"vLLM would not start: it needs {estimate.request_bytes / GIB:.1f} GiB of KV cache for its longest request"
        )
    verdict = "it fits" if fits(after, machines) else f"it still does not; {_last_resort(after, machines)}"
    print(f"turn down, and {verdict} ({_largest(after, machines)}):", *(f"  {key}" for key in overrides), sep="\n")
    return 1


def _limits(shape: ModelShape, load: Workload, estimate: Plan) -> str:
    """Compare the largest image with the prompt's length, and a request with vLLM's KV cache."""
    row = load.prompt + load.response
    lines = [f"image: at most {estimate.image_tokens} of a prompt's {load.prompt} tokens"]
    if estimate.image_tokens > load.prompt:
        lines.append("  LONGER THAN THE PROMPT: such rows are filtered out; set data.max_prompt_length or fewer pixels")
    longest = load.max_model_len or shape.longest
    source = "rollout.max_model_len" if load.max_model_len else "the model's own, as rollout.max_model_len is not set"
    capacity = f"{estimate.cache_tokens:,} tokens, {estimate.cache_tokens // row} rows of {row}"
    lines.append(f"vLLM's KV cache: {capacity}; it must hold one request of {longest:,} ({source})")
    if longest < row:
        lines.append(f"  SHORTER THAN A ROW: responses are cut; set rollout.max_model_len to prompt + response, {row}")
    return "\n".join(lines)


def _images(shape: ModelShape, load: Workload) -> str:
    """Describe the number and size of the images in a step."""
    size = pixel_bytes(shape, load) / 2**20
    lines = [f"images: {load.rows:,} rows in a step, {size:.1f} MiB of pixel_values each at the most pixels"]
    if load.validation_prompts is None:
        lines.append("  validation's rows are not counted: neither data.val_batch_size nor data.val_max_samples is set")
    return "\n".join(lines)


def _largest(estimate: Plan, machines: Machines) -> str:
    text = f"the largest phase takes {estimate.peak / GIB:.1f} of {machines.gpu / GIB:g} GiB"
    if machines.host is None:
        return text
    return f"{text}, and of a machine {estimate.host_peak / GIB:.0f} of {machines.host / GIB:g}"


def _last_resort(after: Plan, machines: Machines) -> str:
    if machines.host is not None and after.host_peak > machines.host:
        return "take a smaller data.train_batch_size, fewer pixels, or more machines"
    return "take more or larger GPUs, or LoRA"


def composed_by(recipe: Path, gpus: int, nodes: int, overrides: Sequence[str]) -> DictConfig:
    """Return the config that a recipe composes with DRY_RUN=1.

    Raises:
        ValueError: the recipe does not exist or prints no config.
    """
    if not recipe.is_file():
        raise ValueError(
            f"recipe: got {recipe}, expected a file that exists; `verl-plugins recipes copy recipes` makes such files"
        )
    # The recipe calls `verl-plugins` and `python`: those of this environment, whether or not a shell has activated it.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {**os.environ, "PATH": path, "DRY_RUN": "1", "GPUS": str(gpus), "NNODES": str(nodes)}
    process = subprocess.run(["bash", recipe, *overrides], env=env, capture_output=True, text=True, check=False)
    config = OmegaConf.create(process.stdout)
    if not isinstance(config, DictConfig) or "actor_rollout_ref" not in config:
        raise ValueError(
            f"{recipe}: got no config from DRY_RUN=1, expected YAML; its last words:\n{process.stderr[-2000:]}"
        )
    return config


def table(phases: dict[str, Phase]) -> str:
    """Format parts by phase, in GiB, without parts that are always 0."""
    parts = list(dict.fromkeys(part for phase in phases.values() for part, size in phase.items() if size))
    rows = [["", *phases]]
    rows += [[part, *(_gib(phase.get(part)) for phase in phases.values())] for part in parts]
    rows.append(["sum", *(_gib(sum(phase.values())) for phase in phases.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _gib(size: int | None) -> str:
    return f"{size / GIB:.1f}" if size else ""
