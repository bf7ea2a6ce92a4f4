#!/usr/bin/env bash
# SaEI on DATASET=geometry3k or mm_eureka with Qwen3.5-9B (arXiv 2512.10414).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen3_5 "${MODEL_PATH:-Qwen/Qwen3.5-9B}"
dataset_of "${DATASET:-geometry3k}" geometry3k mm_eureka

METHOD=(+method=saei)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
