"""What to turn down when a run does not fit: the first changes, one after the other, with which it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from verl_plugins.plan.memory import Plan, plan
from verl_plugins.plan.shape import Shape
from verl_plugins.plan.workload import Workload

USABLE = 0.95  # of a GPU's memory; the rest is lost between allocations: an estimate

_ACTOR = "actor_rollout_ref.actor"
Change = tuple[str, Callable[[Workload], Workload]]


def fits(found: Plan, memory: int) -> bool:
    """Whether every phase fits, and vLLM can hold at least one row."""
    return found.peak <= USABLE * memory and found.cache_tokens > 0


def lack(found: Plan, memory: int) -> int:
    """Bytes over what is usable, summed over the phases, and tokens that vLLM's cache is short of."""
    return sum(max(0, sum(phase.values()) - int(USABLE * memory)) for phase in found.phases.values()) + max(
        0, 1 - found.cache_tokens
    )


def changes(shape: Shape, load: Workload) -> list[Change]:
    """The changes that apply to a run, those first that cost least: in speed, in precision, in what is trained."""
    row = load.prompt + load.response
    found: list[Change] = []
    if not load.offloads_optimizer:
        key = f"{_ACTOR}.fsdp_config.optimizer_offload=true"
        found.append((key, lambda load: replace(load, offloads_optimizer=True)))
    if not load.offloads_weights:
        found.append((f"{_ACTOR}.fsdp_config.param_offload=true", lambda load: replace(load, offloads_weights=True)))
    if not load.is_checkpointed:
        key = "actor_rollout_ref.model.enable_gradient_checkpointing=true"
        found.append((key, lambda load: replace(load, is_checkpointed=True)))
    if load.has_entropy_loss and not load.is_entropy_recomputed:
        key = f"{_ACTOR}.entropy_checkpointing=true"
        found.append((key, lambda load: replace(load, is_entropy_recomputed=True)))
    tokens = max(load.tokens, load.log_prob_tokens) // 2
    while tokens >= row:
        found.append((f"{_ACTOR}.ppo_max_token_len_per_gpu={tokens}", _with_tokens(tokens)))
        tokens //= 2
    for share in (0.5, 0.4, 0.3):
        if share < load.vllm_share:
            found.append((f"actor_rollout_ref.rollout.gpu_memory_utilization={share}", _with_share(share)))
    if load.weight_bytes == 4 and not load.lora_rank:
        key = f"{_ACTOR}.fsdp_config.model_dtype=bf16"
        found.append((key, lambda load: replace(load, weight_bytes=2)))
    return found


def advice(shape: Shape, load: Workload, memory: int) -> tuple[list[str], Plan]:
    """The overrides with which the run fits, and its plan with them; where nothing helps, all of them."""
    overrides: dict[str, str] = {}
    for override, change in changes(shape, load):
        found = plan(shape, load, memory)
        if fits(found, memory):
            break
        if lack(plan(shape, change(load), memory), memory) < lack(found, memory):
            load = change(load)
            overrides[override.split("=")[0]] = override  # of several of one key, the last
    return list(overrides.values()), plan(shape, load, memory)


def _with_tokens(tokens: int) -> Callable[[Workload], Workload]:
    return lambda load: replace(load, tokens=tokens, log_prob_tokens=tokens)


def _with_share(share: float) -> Callable[[Workload], Workload]:
    return lambda load: replace(load, vllm_share=share)
