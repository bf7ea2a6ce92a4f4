"""The workload of a run, read from its composed config: everything that its memory depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_plugins.methods import METHODS, load_installed_methods

BYTES = {"fp32": 4, "float32": 4, "bf16": 2, "bfloat16": 2, "fp16": 2, "float16": 2}
TEXT_OF_A_ROW = 256  # text tokens of the shortest rows that a micro-batch is planned for
GIB = 2**30


@dataclass(frozen=True)
class Workload:
    """A run on GPUs that shard the model by FSDP.

    Args:
        gpus, gpus_of_a_node: number of GPUs in total and on each machine.
        has_second_forward: a method computes a second forward beside the old log-probabilities.
        has_pixel_gradient: a method takes gradients with respect to the images' pixels.
        weight_bytes: bytes of a stored weight, of its gradient, and of each of its two optimizer states.
        compute_bytes: bytes of an element of an activation.
        tokens, log_prob_tokens: tokens of a micro-batch of the update, and of one without gradient.
        image_pixels: pixels of the largest image that the processor makes.
        prompt, response: maximum lengths in tokens.
        is_checkpointed: activations are recomputed layer by layer.
        is_vision_frozen: the vision tower is not trained.
        lora_rank: rank of LoRA; 0 if all weights are trained.
        has_entropy_loss: the loss contains the entropy.
        is_entropy_compiled, is_entropy_chunked, is_entropy_recomputed: verl computes the entropy with
            torch.compile, in chunks, and again in the backward.
        offloads_weights, offloads_optimizer: weights, and optimizer states, are in host memory while not in use.
        has_reference: there is a reference policy, in host memory except for the current layer.
        reference_bytes: bytes of a stored weight of the reference policy.
        vllm_share: share of a GPU's memory for vLLM.
        vllm_gpus: number of GPUs that share one copy of the model in vLLM.
        max_model_len: longest request to vLLM in tokens; None for the model's maximum.
        rows: responses in a step.
        validation_prompts: prompts of a validation batch; None for all in the data files.
        validation_responses: responses to each validation prompt.
        image_cache: bytes of processed images that each vLLM server keeps.
        fused_kernels: FlashAttention's attention and cross-entropy, as on a GPU; otherwise torch's.
    """

    gpus: int
    gpus_of_a_node: int
    has_second_forward: bool = False
    has_pixel_gradient: bool = False
    weight_bytes: int = 4
    compute_bytes: int = 2
    tokens: int = 16384
    log_prob_tokens: int = 16384
    image_pixels: int = 1280 * 28 * 28
    prompt: int = 2048
    response: int = 2048
    is_checkpointed: bool = True
    is_vision_frozen: bool = False
    lora_rank: int = 0
    has_entropy_loss: bool = False
    is_entropy_compiled: bool = True
    is_entropy_chunked: bool = False
    is_entropy_recomputed: bool = False
    offloads_weights: bool = False
    offloads_optimizer: bool = False
    has_reference: bool = False
    reference_bytes: int = 4
    vllm_share: float = 0.5
    vllm_gpus: int = 1
    max_model_len: int | None = None
    rows: int = 0
    validation_prompts: int | None = 0
    validation_responses: int = 1
    image_cache: int = 4 * GIB
    fused_kernels: bool = True


def workload_of(config: DictConfig) -> Workload:
    """Read the workload from verl's composed config (``ppo_trainer``), on FSDP or FSDP2.

    Raises:
        ValueError: another engine trains, or weights are in a type that is not known.
    """
    run, data = config.actor_rollout_ref, config.data
    if run.actor.strategy not in ("fsdp", "fsdp2"):
        key = "actor_rollout_ref.actor.strategy"
        raise ValueError(f"{key}: got {run.actor.strategy}, expected fsdp or fsdp2, which the planner knows; set {key}")
    actor, rollout, fsdp = run.actor, run.rollout, run.actor.fsdp_config
    row = data.max_prompt_length + data.max_response_length

    def tokens(is_dynamic: bool, most: int, rows: int | None) -> int:
        return most if is_dynamic else row * (rows or 1)

    load_installed_methods()
    methods = [method for name, method in METHODS.items() if name in config.algorithm]
    return Workload(
        gpus=config.trainer.nnodes * config.trainer.n_gpus_per_node,
        gpus_of_a_node=config.trainer.n_gpus_per_node,
        has_second_forward=any(method.has_second_forward for method in methods),
        has_pixel_gradient=any(method.has_pixel_gradient for method in methods),
        weight_bytes=_bytes("actor", fsdp.model_dtype),
        tokens=tokens(actor.use_dynamic_bsz, actor.ppo_max_token_len_per_gpu, actor.ppo_micro_batch_size_per_gpu),
        log_prob_tokens=tokens(
            rollout.log_prob_use_dynamic_bsz,
            rollout.log_prob_max_token_len_per_gpu,
            rollout.log_prob_micro_batch_size_per_gpu,
        ),
        image_pixels=_image_pixels(data.mm_processor_kwargs or {}),
        prompt=data.max_prompt_length,
        response=data.max_response_length,
        is_checkpointed=run.model.enable_gradient_checkpointing,
        is_vision_frozen=bool(actor.freeze_vision_tower) or run.model.lora_rank > 0,
        lora_rank=run.model.lora_rank,
        has_entropy_loss=actor.entropy_coeff != 0 or bool(actor.calculate_entropy),
        is_entropy_compiled=bool(run.model.use_remove_padding and fsdp.use_torch_compile),
        is_entropy_chunked=bool(run.model.use_remove_padding and fsdp.entropy_from_logits_with_chunking),
        is_entropy_recomputed=fsdp.entropy_checkpointing,
        offloads_weights=fsdp.param_offload,
        offloads_optimizer=fsdp.optimizer_offload,
        has_reference=run.model.lora_rank == 0
        and (actor.use_kl_loss or bool(OmegaConf.select(config, "algorithm.use_kl_in_reward"))),
        reference_bytes=_bytes("ref", run.ref.fsdp_config.model_dtype),
        vllm_share=rollout.gpu_memory_utilization,
        vllm_gpus=rollout.tensor_model_parallel_size,
        max_model_len=rollout.max_model_len,
        rows=data.train_batch_size * rollout.n,
        validation_prompts=_validation_prompts(config),
        validation_responses=rollout.val_kwargs.n,
        image_cache=int(GIB * OmegaConf.select(rollout, "engine_kwargs.vllm.mm_processor_cache_gb", default=4)),
    )


def _bytes(part: str, dtype: str | None) -> int:
    if dtype is None:  # verl's FSDP engine trains in float32 and refers in bfloat16 then
        return 4 if part == "actor" else 2
    if dtype not in BYTES:
        key = f"actor_rollout_ref.{part}.fsdp_config.model_dtype"
        raise ValueError(f"{key}: got {dtype}, expected one of {', '.join(BYTES)}; set {key}")
    return BYTES[dtype]


def _validation_prompts(config: DictConfig) -> int | None:
    data = config.data
    if config.trainer.test_freq <= 0 and not config.trainer.val_before_train:
        return 0
    limits = [limit for limit in (data.val_batch_size, data.val_max_samples) if limit and limit > 0]
    return min(limits) if limits else None


def _image_pixels(kwargs: Any) -> int:
    if "crop_to_patches" in kwargs and not kwargs["crop_to_patches"]:
        return 448 * 448
    if "max_patches" in kwargs:
        return (kwargs["max_patches"] + 1) * 448 * 448  # the tiles and the thumbnail
    return kwargs.get("max_pixels") or 16384 * 28 * 28
