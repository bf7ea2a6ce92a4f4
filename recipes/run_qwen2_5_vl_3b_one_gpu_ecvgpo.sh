#!/usr/bin/env bash
# ECVGPO on RefCOCO, RefCOCO+ and RefCOCOg with Qwen2.5-VL-3B, all weights trained, on one GPU of 80 GB.
set -xeuo pipefail

# `verl-plugins plan`: fits as it is, 71.9 of 76.0 GiB usable (AdamW's step), and 54 GiB of host memory.
# Not run on a GPU.
GPUS=${GPUS:-1}
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen2_5_vl "${MODEL_PATH:-Qwen/Qwen2.5-VL-3B-Instruct}"
refcoco

METHOD=(
    +method=ecvgpo
    algorithm.ecvgpo.r0="${R0:-10}" # the paper's value for Qwen2.5-VL
)
DATA+=(data.val_batch_size=256) # validation's images in pieces of a step's size
# Weights, gradients and AdamW's states in float32 are 56 GiB on one GPU; the states leave it while vLLM samples.
ACTOR+=(actor_rollout_ref.actor.fsdp_config.optimizer_offload=true)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
