#!/usr/bin/env bash
# SaEI on DATASET=geometry3k or mm_eureka with InternVL3-8B (arXiv 2512.10414).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
internvl3 "${MODEL_PATH:-OpenGVLab/InternVL3-8B-hf}"
dataset_of "${DATASET:-geometry3k}" geometry3k mm_eureka

METHOD=(
    +method=saei
    +data.mm_processor_kwargs.crop_to_patches=false # the attack can only invert whole images
)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
