"""Stage: verl's policy entropy under torch.compile, whole and in chunks: compilations, time and memory.

It is compiled with dynamic shapes and called through a checkpoint, as in verl's engine with use_torch_compile and
entropy_checkpointing. The micro-batches have different numbers of tokens, like those of dynamic batches.
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

TOKENS = {"cuda": (12_001, 11_801, 12_288), "cpu": (4_001, 3_803, 4_096)}  # in each of three micro-batches
VOCABULARY = {"cuda": 151_936, "cpu": 512}
MODEL = "Qwen/Qwen2.5-VL-3B-Instruct"  # has this vocabulary


def measure(device: str) -> Iterator[Line]:
    for name, entropy in (("whole", verl_F.entropy_from_logits), ("chunked", verl_F.entropy_from_logits_with_chunking)):
        backend = "inductor" if device == "cuda" else "eager"  # inductor needs a C++ compiler on a CPU
        compiled = torch.compile(entropy, dynamic=True, backend=backend)
        yield micro_batches(f"{name}, compiled", compiled, device, is_recipes=name == "whole")
        yield micro_batches(f"{name}, eager", entropy, device)


def micro_batches(name: str, entropy: Callable[..., Any], device: str, is_recipes: bool = False) -> Line:
    """Run forward and backward of three micro-batches: compilations after each, and the cost of the last.

    Args:
        name: name of the line.
        entropy: (tokens, vocabulary) logits -> (tokens,) entropies.
        device: "cuda" or "cpu".
        is_recipes: whether this is the recipes' setting, which has limits.
    """
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
        total = last.peak_bytes + size
        figure += f", {total / GIB:.1f} GiB with the logits"
        raw |= {"bytes_with_logits": total, "planned_bytes": planned}
        is_ok, limit = is_ok and total <= planned, f"{limit}; the plan's {planned / GIB:.1f} GiB"
    return Line(name, figure, limit if is_recipes else "", is_ok if is_recipes else None, raw=raw)
