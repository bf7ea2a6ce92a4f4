"""What to turn down when a run does not fit: the first changes, one after the other, with which it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from verl_plugins.plan.memory import Plan, plan
from verl_plugins.plan.shape import Shape
from verl_plugins.plan.workload import Workload

USABLE = 0.95  # of a GPU's memory; the rest is lost between allocations: an estimate
FEWEST_PROMPTS = 64  # of a validation batch that is advised

_ACTOR = "actor_rollout_ref.actor"
_ROLLOUT = "actor_rollout_ref.rollout"
Change = tuple[str, Callable[[Workload], Workload]]


@dataclass(frozen=True)
class Machines:
    """What there is: bytes of a GPU, and of a machine, None where nobody says."""

    gpu: int
    host: int | None = None


def fits(found: Plan, machines: Machines) -> bool:
    """Whether every phase fits, and vLLM starts."""
    return lack(found, machines) == 0


def lack(found: Plan, machines: Machines) -> int:
    """Bytes over what is usable, summed over the phases of a GPU and of a machine, and short in vLLM's cache."""
    host = found.host_peak if machines.host is None else machines.host
    over = [sum(phase.values()) - int(USABLE * machines.gpu) for phase in found.phases.values()]
    over += [sum(phase.values()) - host for phase in found.host.values()]
    return sum(max(0, size) for size in over) + found.cache_lack


def changes(shape: Shape, load: Workload) -> list[Change]:
    """The changes that apply to a run, those first that cost least: in speed, in precision, in what is trained."""
    row = load.prompt + load.response
    found: list[Change] = []
    if (load.max_model_len or shape.longest) > row:
        found.append(_change(f"{_ROLLOUT}.max_model_len={row}", max_model_len=row))
    if load.has_entropy_loss and load.is_entropy_chunked and load.is_entropy_compiled:
        found.append(_change(f"{_ACTOR}.entropy_from_logits_with_chunking=false", is_entropy_chunked=False))
    if load.image_cache:
        found.append(_change(f"++{_ROLLOUT}.engine_kwargs.vllm.mm_processor_cache_gb=0", image_cache=0))
    prompts = (load.validation_prompts or 0) // 2
    while prompts >= FEWEST_PROMPTS:
        found.append(_change(f"data.val_batch_size={prompts}", validation_prompts=prompts))
        prompts //= 2
    if not load.offloads_optimizer:
        found.append(_change(f"{_ACTOR}.fsdp_config.optimizer_offload=true", offloads_optimizer=True))
    if not load.offloads_weights:
        found.append(_change(f"{_ACTOR}.fsdp_config.param_offload=true", offloads_weights=True))
    if not load.is_checkpointed:
        found.append(_change("actor_rollout_ref.model.enable_gradient_checkpointing=true", is_checkpointed=True))
    tokens = max(load.tokens, load.log_prob_tokens) // 2
    while tokens >= row:
        key = f"{_ACTOR}.ppo_max_token_len_per_gpu={tokens}"
        found.append(_change(key, tokens=tokens, log_prob_tokens=tokens))
        tokens //= 2
    for share in (0.5, 0.4, 0.3):
        if share < load.vllm_share:
            found.append(_change(f"{_ROLLOUT}.gpu_memory_utilization={share}", vllm_share=share))
    if load.weight_bytes == 4 and not load.lora_rank:
        found.append(_change(f"{_ACTOR}.fsdp_config.model_dtype=bf16", weight_bytes=2))
    return found


def advice(shape: Shape, load: Workload, machines: Machines) -> tuple[list[str], Plan]:
    """The overrides with which the run fits, and its plan with them; where nothing helps, all of them."""
    overrides: dict[str, str] = {}
    for override, change in changes(shape, load):
        found = plan(shape, load, machines.gpu)
        if fits(found, machines):
            break
        if lack(plan(shape, change(load), machines.gpu), machines) < lack(found, machines):
            load = change(load)
            overrides[override.split("=")[0]] = override  # of several of one key, the last
    return list(overrides.values()), plan(shape, load, machines.gpu)


def _change(override: str, **fields: Any) -> Change:
    return override, lambda load: replace(load, **fields)
