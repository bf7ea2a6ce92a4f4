"""What the methods need of verl's trainer, actor and batches."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from verl_plugins.config import TRAINER_MODE
from verl_plugins.methods import METHODS

ULYSSES = (  # verl's key for FSDP, and the deprecated one, which overwrites it where it is more than 1
    "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size",
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size",
)
MODEL_HOOKS = {  # methods that reach into the model: the strategies of verl's engine that they can, and why
    "vepo": (("fsdp", "fsdp2"), "reads the hidden states of verl's FSDP engine"),
    "saei": (("fsdp2",), "takes gradients to the images alone, through verl's FSDP2 engine"),
}


def check_trainer(config: DictConfig, methods: list[str]) -> list[str]:
    problems = []

    def expect(key: str, accepted, expected: str) -> None:
        got = OmegaConf.select(config, key)
        if not accepted(got):
            problems.append(f"{key}: got {got}, expected {expected}; set {key}")

    expect("trainer.use_v1", lambda got: got is True, "true (the methods are stages of verl's V1 trainer)")
    expect("trainer.v1.trainer_mode", lambda got: got == TRAINER_MODE, f"{TRAINER_MODE}, which +method sets")
    expect("algorithm.adv_estimator", lambda got: got == "grpo" or got in METHODS, f"grpo or {', '.join(METHODS)}")
    estimator = config.algorithm.adv_estimator
    if estimator in METHODS and estimator not in methods:
        problems.append(
            f"algorithm.{estimator}: got nothing, expected its settings; start the run with +method={estimator}"
        )
    if methods:
        bypass = "algorithm.rollout_correction.bypass_mode"
        expect(bypass, lambda got: not got, "false (bypass mode computes neither old log-probs nor entropy)")
        expect("actor_rollout_ref.rollout.n", lambda got: got >= 2, ">= 2 responses in a group")
    readers = {name: hook for name, hook in MODEL_HOOKS.items() if name in methods}
    for name, (strategies, hook) in readers.items():
        actor, reads = "actor_rollout_ref.actor", f"({name} {hook})"
        if config.get("model_engine", "dp") != "dp":  # the other engines' actors have other keys
            expect("model_engine", lambda got: False, f"dp {reads}")
            continue
        expect(f"{actor}.strategy", strategies.__contains__, f"{' or '.join(strategies)} {reads}")
        for key in ULYSSES:
            expect(key, lambda got: got in (None, 1), f"1 {reads}")
        expect("actor_rollout_ref.model.use_fused_kernels", lambda got: not got, f"false {reads}")
    if config.actor_rollout_ref.actor.get("freeze_vision_tower"):
        why = "(the vision tower is frozen weight by weight, which FSDP2 alone shards)"
        expect("actor_rollout_ref.actor.strategy", lambda got: got == "fsdp2", f"fsdp2 {why}")
        why = "(LoRA trains adapters alone; keep them out of the tower by actor_rollout_ref.model.exclude_modules)"
        expect("actor_rollout_ref.model.lora_rank", lambda got: not got, f"0 with freeze_vision_tower {why}")
    if "vepo" in methods:
        key = "actor_rollout_ref.actor.loss_agg_mode"
        expect(key, lambda got: got == "token-mean", "token-mean, for which vepo's weights are made")
    return problems


def check_micro_batches(config: DictConfig) -> list[str]:
    """Fixed micro-batches must divide what a rank is given; verl asserts it in the middle of the first step.

    Other engines than FSDP divide the GPUs in ways of their own, which this does not know.
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
