"""Checks of a run's numbers against each other: batches, lengths and GPUs. verl asserts some of them in a step, others
never."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods.run_checks import RunChecks
from verl_plugins.preflight.counts import MINI_BATCH, PACKED, ROLLOUT, TP, ULYSSES, is_count
from verl_plugins.preflight.model import attention_heads


def check_sizes(config: DictConfig) -> list[str]:
    """Check batches, lengths and the GPUs of the rollout against each other."""
    run = RunChecks(partial(OmegaConf.select, config))
    batch, mini_batch = run.get("data.train_batch_size"), run.get(MINI_BATCH)
    if mini_batch > batch:
        run.refuse(
            MINI_BATCH,
            mini_batch,
            f"at most data.train_batch_size, which is {batch} (verl fills the update up with empty responses)",
            "set one of the two",
        )
    _check_lengths(run)
    _check_rollout_gpus(run, str(config.actor_rollout_ref.model.path))
    return run.problems


def _check_lengths(run: RunChecks) -> None:
    prompt, response = run.get("data.max_prompt_length"), run.get("data.max_response_length")
    sequence = f"{prompt + response} (data.max_prompt_length {prompt} + data.max_response_length {response})"
    longest = run.get(f"{ROLLOUT}.max_model_len")
    if longest and longest < prompt + response:
        run.refuse(
            f"{ROLLOUT}.max_model_len",
            longest,
            f"at least {sequence}; the engine would cut long responses short, or refuse their prompts",
            f"set {ROLLOUT}.max_model_len, or the lengths",
        )
    ranks = max(run.get(key) or 1 for key in ULYSSES)
    limits = {run.get(tokens): tokens for tokens, packs in reversed(PACKED) if run.get(packs)}
    for tokens, key in limits.items():  # the two others repeat the actor's unless they are set
        if tokens * ranks < prompt + response:
            shared = f" on each of {ranks} GPUs that share a sequence" if ranks > 1 else ""
            run.refuse(
                key,
                f"{tokens}{shared}",
                f"at least {sequence} in all, since a sequence is not split: verl ends the run at the first longer one",
                f"set {key} (MAX_TOKENS of the recipes), or the lengths",
            )


def _check_rollout_gpus(run: RunChecks, model: str) -> None:
    """Report a rollout engine that does not fill the GPUs, or that cannot split the model's attention."""
    size = run.get(TP)
    heads = attention_heads(model)
    if heads and heads % size:
        run.refuse(TP, size, f"a divisor of {heads}, the attention heads of {model}", f"set {TP}")
        return
    if run.get(f"{ROLLOUT}.disaggregation.enabled"):
        return
    group = "trainer" if run.get("trainer.v1.trainer_mode") != "separate_async" else ROLLOUT
    nodes, gpus = run.get(f"{group}.nnodes"), run.get(f"{group}.n_gpus_per_node")
    if not (is_count(nodes) and is_count(gpus)):
        return  # reported by check_trainer_mode
    engine = size * run.get(f"{ROLLOUT}.data_parallel_size") * run.get(f"{ROLLOUT}.pipeline_model_parallel_size")
    if nodes * gpus % engine:
        times = "" if engine == size else f", times data and pipeline parallelism {engine // size}"
        run.refuse(
            TP,
            f"{size}{times}",
            f"a divisor of {nodes * gpus}, the GPUs of {group}.nnodes x n_gpus_per_node (each belongs to one engine)",
            f"set {TP}",
        )
