"""verl's entropy of the policy under torch.compile, whole and in chunks: compilations, time and memory of its backward.

It is compiled with dynamic shapes and called through a checkpoint, as verl's engine does with use_torch_compile and
entropy_checkpointing, on logits of micro-batches whose token counts differ, as those of dynamic batches do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import verl.utils.torch_functional as verl_F
from torch._dynamo.utils import counters
from torch.utils.checkpoint import checkpoint

from gpu.device import GIB, Cost, measured
from gpu.line import Line
from verl_plugins.plan import memory
from verl_plugins.plan.shape import shape_of
from verl_plugins.plan.workload import Workload

TOKENS = {"cuda": (12_001, 11_801, 12_288), "cpu": (4_001, 3_803, 4_096)}  # of three micro-batches
VOCABULARY = {"cuda": 151_936, "cpu": 512}
MODEL = "Qwen/Qwen2.5-VL-3B-Instruct"  # whose vocabulary that is


def measure(device: str) -> Iterator[Line]:
    for name, entropy in (("whole", verl_F.entropy_from_logits), ("chunked", verl_F.entropy_from_logits_with_chunking)):
        backend = "inductor" if device == "cuda" else "eager"  # the CPU's would need a C++ compiler
        compiled = torch.compile(entropy, dynamic=True, backend=backend)
        yield micro_batches(f"{name}, compiled", compiled, device, is_recipes=name == "whole")
        yield micro_batches(f"{name}, eager", entropy, device)


def micro_batches(name: str, entropy: Callable[..., Any], device: str, is_recipes: bool = False) -> Line:
    """Of three micro-batches: compilations after each, and the last one's cost; limits for the recipes' setting."""
    torch._dynamo.reset()
    counters.clear()
    costs: list[Cost] = []
    compilations: list[int] = []
    for tokens in TOKENS[device]:
        logits = torch.randn(tokens, VOCABULARY[device], device=device, dtype=torch.bfloat16, requires_grad=True)
        with measured(device) as cost:
            checkpoint(entropy, logits).sum().backward()
        costs.append(cost)
        compilations.append(counters["stats"]["unique_graphs"])
        size = logits.numel() * logits.element_size()
        del logits
    last = costs[-1]
    figure = f"{' + '.join(f'{cost.seconds * 1e3:.0f}' for cost in costs)} ms, compilations so far {compilations}"
    raw: dict[str, float] = {"seconds": last.seconds, "compilations": compilations[-1]}
    load = Workload(gpus=1, gpus_of_a_node=1, tokens=tokens, has_entropy_loss=True, is_entropy_recomputed=True)
    planned = memory.logits(shape_of(MODEL), load)
    is_ok, limit = compilations[-1] == compilations[0], "none after the first micro-batch"
    if last.peak_bytes is not None:
        held = last.peak_bytes + size
        figure += f", {held / GIB:.1f} GiB with the logits"
        raw |= {"bytes_with_logits": held, "planned_bytes": planned}
        is_ok, limit = is_ok and held <= planned, f"{limit}; the plan's {planned / GIB:.1f} GiB"
    return Line(name, figure, limit if is_recipes else "", is_ok if is_recipes else None, raw=raw)
