"""``verl-plugins plan RECIPE --gpus 8 --memory 80``: what a recipe will need, and what to turn down."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_plugins.plan.advice import advice, fits
from verl_plugins.plan.memory import GIB, Plan, plan
from verl_plugins.plan.shape import shape_of
from verl_plugins.plan.workload import workload_of


def run_plan(recipe: Path, gpus: int, nodes: int, memory_gib: float, overrides: Sequence[str]) -> int:
    """Print the plan of a recipe on ``nodes`` machines of ``gpus`` GPUs; 0 if it fits, else 1."""
    try:
        config = composed_by(recipe, gpus, nodes, overrides)
        model = config.actor_rollout_ref.model.path
        shape = shape_of(model)
    except ValueError as error:
        print(f"verl-plugins: {error}")
        return 1
    load, memory = workload_of(config), int(memory_gib * GIB)
    found = plan(shape, load, memory)
    print(f"{model}: {shape.parameters / 1e9:.2f} billion parameters, {load.gpus} GPUs of {memory_gib:g} GiB")
    print(f"estimated GiB of each GPU; {recipe.name} was not run for it\n")
    print(table(found))
    row = load.prompt + load.response
    print(f"\nimage: at most {found.image_tokens} of a prompt's {load.prompt} tokens")
    if found.image_tokens > load.prompt:
        print("  LONGER THAN THE PROMPT: such rows are filtered out; set data.max_prompt_length or fewer pixels")
    held = max(0, found.cache_tokens) // row
    print(f"vLLM's KV cache: {max(0, found.cache_tokens):,} tokens, {held} rows of {row}")
    print(f"memory of a machine: {found.host / GIB:.0f} GiB for weights on the host, beside Ray, vLLM and the data")
    if fits(found, memory):
        print(f"\nfits: the largest phase takes {found.peak / GIB:.1f} of {memory_gib:g} GiB")
        return 0
    changes, after = advice(shape, load, memory)
    print(f"\ndoes not fit: the largest phase takes {found.peak / GIB:.1f} of {memory_gib:g} GiB")
    verdict = "it fits" if fits(after, memory) else "it still does not; take more or larger GPUs, or LoRA"
    print(f"turn down, and {verdict} ({after.peak / GIB:.1f} GiB):", *(f"  {change}" for change in changes), sep="\n")
    return 1


def composed_by(recipe: Path, gpus: int, nodes: int, overrides: Sequence[str]) -> DictConfig:
    """The config that a recipe composes, by its own DRY_RUN.

    Raises:
        ValueError: it composes none.
    """
    if not recipe.is_file():
        raise ValueError(f"recipe: got {recipe}, expected a file that exists; recipes/run_*.sh are such")
    env = {**os.environ, "DRY_RUN": "1", "GPUS": str(gpus), "NNODES": str(nodes)}
    done = subprocess.run(["bash", recipe, *overrides], env=env, capture_output=True, text=True, check=False)
    config = OmegaConf.create(done.stdout)
    if not isinstance(config, DictConfig) or "actor_rollout_ref" not in config:
        raise ValueError(
            f"{recipe}: got no config from DRY_RUN=1, expected YAML; its last words:\n{done.stderr[-2000:]}"
        )
    return config


def table(found: Plan) -> str:
    """Parts by phase, in GiB."""
    parts = list(dict.fromkeys(part for phase in found.phases.values() for part in phase))
    rows = [["", *found.phases]]
    rows += [[part, *(_gib(phase.get(part)) for phase in found.phases.values())] for part in parts]
    rows.append(["sum", *(_gib(sum(phase.values())) for phase in found.phases.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _gib(size: int | None) -> str:
    return f"{size / GIB:.1f}" if size else ""
