#!/usr/bin/env bash
# ECVGPO on RefCOCO, RefCOCO+ and RefCOCOg with LoRA on Qwen2.5-VL-3B, on one GPU of 24 GB.
set -xeuo pipefail

# `verl-plugins plan`: fits as it is, 20.0 of 22.8 GiB usable (sending the adapter to vLLM), and 27 GiB of host memory.
# Not run on a GPU.
GPUS=${GPUS:-1}
MAX_TOKENS=${MAX_TOKENS:-4096}
GPU_MEMORY_UTILIZATION=${GPU_MEMORY_UTILIZATION:-0.55}
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen2_5_vl "${MODEL_PATH:-Qwen/Qwen2.5-VL-3B-Instruct}"
refcoco

METHOD=(
    +method=ecvgpo
    algorithm.ecvgpo.r0="${R0:-10}" # the paper's value for Qwen2.5-VL
)
DATA+=(data.val_batch_size=256) # validation's images in pieces of a step's size
# The paper trains all weights. Rank, alpha and learning rate are those of VLM-R1's script for LoRA, whose dropout of 0.05
# verl's FSDP engine has no key for.
MODEL+=(
    actor_rollout_ref.model.lora_rank=64
    actor_rollout_ref.model.lora_alpha=128
    actor_rollout_ref.model.target_modules=all-linear
    "actor_rollout_ref.model.exclude_modules='.*visual.*'" # vLLM supports adapters of the language model only
)
ACTOR+=(
    actor_rollout_ref.actor.optim.lr=1e-5
    actor_rollout_ref.actor.fsdp_config.model_dtype=bf16
    actor_rollout_ref.actor.fsdp_config.param_offload=true
    actor_rollout_ref.actor.fsdp_config.optimizer_offload=true
)
ROLLOUT+=(
    actor_rollout_ref.rollout.load_format=safetensors # vLLM reads the base weights itself and receives only the adapters
    actor_rollout_ref.rollout.max_num_seqs=64
    actor_rollout_ref.rollout.enforce_eager=true # saves the memory of CUDA graphs
)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
