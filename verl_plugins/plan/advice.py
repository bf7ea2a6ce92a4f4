"""Advice for a run that does not fit: the cheapest settings to turn down until it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from verl_plugins.plan.memory import Plan, plan
from verl_plugins.plan.precision import BF16_WEIGHTS
from verl_plugins.plan.shape import ModelShape
from verl_plugins.plan.tensor_parallelism import KEY as TP
from verl_plugins.plan.tensor_parallelism import sizes
from verl_plugins.plan.workload import Workload

USABLE = 0.95
"""Share of a GPU's memory that can be used; the rest is lost to fragmentation (an estimate)."""

FEWEST_PROMPTS = 64
"""Smallest validation batch that is advised, in prompts."""

_ACTOR = "actor_rollout_ref.actor"
_ROLLOUT = "actor_rollout_ref.rollout"
Change = tuple[str, Callable[[Workload], Workload]]


@dataclass(frozen=True)
class Machines:
    """Available memory in bytes: of a GPU, and of a machine (None if unknown)."""

    gpu: int
    host: int | None = None


def fits(estimate: Plan, machines: Machines) -> bool:
    """Tell whether every phase fits and vLLM can start."""
    return lack(estimate, machines) == 0


def lack(estimate: Plan, machines: Machines) -> int:
    """Sum the bytes that are missing: in each phase of a GPU and of a machine, and in vLLM's KV cache."""
    host = estimate.host_peak if machines.host is None else machines.host
    excess = [sum(phase.values()) - int(USABLE * machines.gpu) for phase in estimate.phases.values()]
    excess += [sum(phase.values()) - host for phase in estimate.host.values()]
    return sum(max(0, size) for size in excess) + estimate.cache_lack


def changes(shape: ModelShape, load: Workload) -> list[Change]:
    """List the changes that apply to a run, cheapest first in speed, in precision and in what is trained."""
    row = load.prompt + load.response
    applicable: list[Change] = []
    if (load.max_model_len or shape.longest) > row:
        applicable.append(_change(f"{_ROLLOUT}.max_model_len={row}", max_model_len=row))
    if load.has_entropy_loss and load.is_entropy_chunked and load.is_entropy_compiled:
        applicable.append(_change(f"{_ACTOR}.entropy_from_logits_with_chunking=false", is_entropy_chunked=False))
    if load.image_cache:
        applicable.append(_change(f"++{_ROLLOUT}.engine_kwargs.vllm.mm_processor_cache_gb=0", image_cache=0))
    prompts = (load.validation_prompts or 0) // 2
    while prompts >= FEWEST_PROMPTS:
        applicable.append(_change(f"data.val_batch_size={prompts}", validation_prompts=prompts))
        prompts //= 2
    if not load.offloads_optimizer:
        applicable.append(_change(f"{_ACTOR}.fsdp_config.optimizer_offload=true", offloads_optimizer=True))
    if not load.offloads_weights:
        applicable.append(_change(f"{_ACTOR}.fsdp_config.param_offload=true", offloads_weights=True))
    if not load.is_checkpointed:
        applicable.append(_change("actor_rollout_ref.model.enable_gradient_checkpointing=true", is_checkpointed=True))
    tokens = max(load.tokens, load.log_prob_tokens) // 2
    while tokens >= row:
        key = f"{_ACTOR}.ppo_max_token_len_per_gpu={tokens}"
        applicable.append(_change(key, tokens=tokens, log_prob_tokens=tokens))
        tokens //= 2
    for size in sizes(shape, load):
        if size > load.vllm_gpus:
            applicable.append(_change(f"{TP}={size}", vllm_gpus=size))
    for share in (0.5, 0.4, 0.3):
        if share < load.vllm_share:
            applicable.append(_change(f"{_ROLLOUT}.gpu_memory_utilization={share}", vllm_share=share))
    if load.weight_bytes == 4 and not load.lora_rank:
        applicable.append(_change(BF16_WEIGHTS, weight_bytes=2))
    return applicable


def advice(shape: ModelShape, load: Workload, machines: Machines) -> tuple[list[str], Plan]:
    """Return the overrides that make the run fit, or all that help if it still does not fit, and the plan with them."""
    overrides: dict[str, str] = {}
    for override, change in changes(shape, load):
        estimate = plan(shape, load, machines.gpu)
        if fits(estimate, machines):
            break
        if lack(plan(shape, change(load), machines.gpu), machines) < lack(estimate, machines):
            load = change(load)
            overrides[override.split("=")[0]] = override  # replaces an earlier change of the key
    return list(overrides.values()), plan(shape, load, machines.gpu)


def _change(override: str, **fields: Any) -> Change:
    return override, lambda load: replace(load, **fields)
