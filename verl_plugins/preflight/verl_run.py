"""Checks of verl's trainer, actor and batches that do not depend on the method."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods import METHODS
from verl_plugins.methods.run_checks import RunChecks
from verl_plugins.preflight.counts import ULYSSES
from verl_plugins.preflight.model import model_type

ENGINES = ("vllm", "sglang", "trtllm")
"""Engines that verl 0.9.1 samples with."""


def check_trainer(config: DictConfig, methods: list[str]) -> list[str]:
    """Check the estimator, and the keys that every method depends on."""
    run = RunChecks(partial(OmegaConf.select, config))
    run.expect("actor_rollout_ref.rollout.name", ENGINES.__contains__, f"one of {', '.join(ENGINES)}")
    run.expect("trainer.use_v1", lambda got: got is True, "true (the methods are stages of verl's V1 trainer)")
    estimator = config.algorithm.adv_estimator
    if methods:
        run.expect(
            "algorithm.adv_estimator", lambda got: got == "grpo" or got in METHODS, f"grpo or {', '.join(METHODS)}"
        )
    if run.get("algorithm.extra_fields"):
        run.expect(
            "algorithm.adv_estimator",
            lambda got: got not in ("grpo", "gae", *METHODS),
            "an estimator that takes the columns of algorithm.extra_fields",
        )
    if estimator in METHODS and estimator not in methods:
        run.refuse(f"algorithm.{estimator}", "nothing", "its settings", f"start the run with +method={estimator}")
    if methods and run.get("algorithm.grpo") is not None:
        others = " and ".join(methods)
        expected = "one of them (grpo is the baseline: GRPO without a method)"
        run.refuse("method", f"grpo and {others}", expected, "leave grpo out, or set +method=grpo")
    if methods:
        run.expect("actor_rollout_ref.rollout.n", lambda got: got >= 2, ">= 2 responses in a group")
    if run.get("algorithm.rollout_correction.bypass_mode"):
        reason = "(in bypass mode, the old log-probs are those of the rollout engine)"
        run.expect("actor_rollout_ref.rollout.calculate_log_probs", bool, f"true {reason}")
    if config.actor_rollout_ref.actor.get("freeze_vision_tower"):
        reason = "(the vision tower is frozen weight by weight, which FSDP2 alone shards)"
        run.expect("actor_rollout_ref.actor.strategy", lambda got: got == "fsdp2", f"fsdp2 {reason}")
        reason = "(LoRA trains adapters alone; keep them out of the tower by actor_rollout_ref.model.exclude_modules)"
        run.expect("actor_rollout_ref.model.lora_rank", lambda got: not got, f"0 with freeze_vision_tower {reason}")
    return run.problems


def check_sequence_parallelism(config: DictConfig) -> list[str]:
    """Check that verl can slice the rows of this model; it would notice in the first forward, or not at all."""
    run = RunChecks(partial(OmegaConf.select, config))
    key = next((key for key in ULYSSES if (run.get(key) or 1) > 1), None)
    if key is None:
        return []
    packed = "actor_rollout_ref.model.use_remove_padding"
    run.expect(packed, bool, f"true with {key}={run.get(key)} (verl slices packed rows alone)")
    if model_type(str(config.actor_rollout_ref.model.path)) == "internvl":
        run.expect(key, lambda size: False, "1 for InternVL (verl does not slice its inputs)")
    return run.problems


def check_micro_batches(config: DictConfig) -> list[str]:
    """Check that fixed micro-batches divide a rank's rows; verl asserts it in the middle of the first step.

    Engines other than FSDP divide the GPUs in their own ways and are not checked.
    """
    models, problems = config.actor_rollout_ref, []
    if config.get("model_engine", "dp") != "dp":
        return []
    ulysses = max(OmegaConf.select(config, key) or 1 for key in ULYSSES)
    ranks = config.trainer.nnodes * config.trainer.n_gpus_per_node // ulysses
    prompts = {
        "rollout.log_prob_micro_batch_size_per_gpu": config.data.get("gen_batch_size") or config.data.train_batch_size,
        "actor.ppo_micro_batch_size_per_gpu": models.actor.ppo_mini_batch_size,
    }
    for name, number in prompts.items():
        part, _, knob = name.partition(".")
        is_dynamic = models.actor.use_dynamic_bsz if part == "actor" else models.rollout.log_prob_use_dynamic_bsz
        rows, micro = number * models.rollout.n, models[part].get(knob)
        if micro and not is_dynamic and rows % ranks == 0 and rows // ranks % micro:
            problems.append(
                f"actor_rollout_ref.{name}: got {micro}, expected a divisor of {rows // ranks} ({number} prompts x "
                f"{models.rollout.n} responses on {ranks} ranks); set actor_rollout_ref.{name}, or "
                f"actor_rollout_ref.actor.use_dynamic_bsz=true"
            )
    return problems
