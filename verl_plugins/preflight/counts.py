"""Checks of the types of a run's numbers, switches and files, before anything computes with them."""

from __future__ import annotations

from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_plugins.methods.knobs import is_number
from verl_plugins.methods.run_checks import RunChecks

ACTOR, ROLLOUT, REF = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "ref"))
TP = f"{ROLLOUT}.tensor_model_parallel_size"
MINI_BATCH = f"{ACTOR}.ppo_mini_batch_size"
SYNC_STEP = "trainer.v1.separate_async.parameter_sync_step"
PROCESSOR = "data.mm_processor_kwargs"
COUNTS = (
    "data.train_batch_size",
    "data.max_prompt_length",
    "data.max_response_length",
    MINI_BATCH,
    f"{ACTOR}.ppo_epochs",
    f"{ROLLOUT}.n",
    f"{ROLLOUT}.val_kwargs.n",
    TP,
    f"{ROLLOUT}.data_parallel_size",
    f"{ROLLOUT}.pipeline_model_parallel_size",
    "trainer.nnodes",
    "trainer.n_gpus_per_node",
    "trainer.total_epochs",
    SYNC_STEP,
)
"""Keys whose values are whole numbers of at least 1."""

PACKED = (  # most tokens of a packed micro-batch, and whether micro-batches are packed
    (f"{ACTOR}.ppo_max_token_len_per_gpu", f"{ACTOR}.use_dynamic_bsz"),
    (f"{ROLLOUT}.log_prob_max_token_len_per_gpu", f"{ROLLOUT}.log_prob_use_dynamic_bsz"),
    (f"{REF}.log_prob_max_token_len_per_gpu", f"{REF}.log_prob_use_dynamic_bsz"),
)
ULYSSES = (  # verl's deprecated key, which takes precedence where it is larger than 1, and the one for FSDP
    f"{ACTOR}.ulysses_sequence_parallel_size",
    f"{ACTOR}.fsdp_config.ulysses_sequence_parallel_size",
)
OPTIONAL_COUNTS = (
    *(tokens for tokens, _ in PACKED),
    *ULYSSES,
    f"{ACTOR}.ppo_micro_batch_size_per_gpu",
    f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu",
    f"{REF}.log_prob_micro_batch_size_per_gpu",
    f"{ROLLOUT}.max_model_len",
    f"{ROLLOUT}.max_num_batched_tokens",
    f"{ROLLOUT}.max_num_seqs",
    "data.gen_batch_size",
    "data.val_batch_size",
    "trainer.total_training_steps",
    "trainer.max_actor_ckpt_to_keep",
    *(f"{PROCESSOR}.{name}" for name in ("min_pixels", "max_pixels", "min_patches", "max_patches")),
)
"""The same, or null."""

NOT_NEGATIVE = ("actor_rollout_ref.model.lora_rank", "trainer.critic_warmup", "trainer.log_val_generations")
"""Keys whose values are whole numbers of at least 0."""

NODES = (f"{ROLLOUT}.nnodes", f"{ROLLOUT}.n_gpus_per_node")
"""The same, or null: devices of the rollout's own."""

WHOLE = ("data.train_max_samples", "data.val_max_samples", "trainer.save_freq", "trainer.test_freq")
"""Keys whose values are whole numbers; below 1 they mean all, or never."""

SWITCHES = (
    *(packs for _, packs in PACKED),
    f"{ACTOR}.use_kl_loss",
    f"{ACTOR}.freeze_vision_tower",
    "actor_rollout_ref.model.use_remove_padding",
    "actor_rollout_ref.model.enable_gradient_checkpointing",
    "trainer.val_before_train",
)
"""Keys whose values are true or false, or null."""

FILES = ("data.train_files", "data.val_files")
SHARE = f"{ROLLOUT}.gpu_memory_utilization"
CACHE = f"{ROLLOUT}.engine_kwargs.vllm.mm_processor_cache_gb"


def check_counts(config: DictConfig) -> list[str]:
    """Check the types of the numbers, switches and files with which the other checks, the planner and verl work."""
    run = RunChecks(partial(_selected, config))
    packed = {tokens for tokens, packs in PACKED if run.get(packs) is True}
    for key in (*COUNTS, *sorted(packed)):
        run.expect(key, is_count, "a whole number >= 1")
    for key in OPTIONAL_COUNTS:
        if key not in packed:
            run.expect(key, lambda got: got is None or is_count(got), "a whole number >= 1, or null")
    for key in NOT_NEGATIVE:
        run.expect(key, lambda got: _is_whole(got) and got >= 0, "a whole number >= 0")
    for key in NODES:
        run.expect(key, lambda got: got is None or (_is_whole(got) and got >= 0), "a whole number >= 0")
    for key in WHOLE:
        run.expect(key, _is_whole, "a whole number (-1 for none)")
    for key in SWITCHES:
        run.expect(key, lambda got: got is None or isinstance(got, bool), "true or false")
    run.expect(f"{ACTOR}.entropy_coeff", is_number, "a number")
    run.expect(SHARE, lambda got: is_number(got) and 0 < got <= 1, "a number in (0, 1]")
    run.expect(CACHE, lambda got: got is None or (is_number(got) and got >= 0), "a number >= 0, in GiB, or null")
    run.expect(PROCESSOR, lambda got: got is None or OmegaConf.is_dict(got), "settings (min_pixels, max_pixels, ...)")
    for key in FILES:
        run.expect(key, _is_files, "a file, or a list of files")
    return run.problems


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number of at least 1."""
    return _is_whole(value) and value >= 1  # pyright: ignore[reportOperatorIssue]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_files(value: Any) -> bool:
    """Tell whether a value names files; check_files reports none at all."""
    return (
        value is None or isinstance(value, str) or (OmegaConf.is_list(value) and all(isinstance(f, str) for f in value))
    )


def _selected(config: DictConfig, key: str) -> Any:
    """Return the value at a key, None where there is none; of one that cannot be resolved, Hydra's reason."""
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException as error:
        return str(error).partition("\n")[0]
