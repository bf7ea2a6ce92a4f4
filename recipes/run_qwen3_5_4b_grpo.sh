#!/usr/bin/env bash
# GRPO, or a BASELINE of baselines.sh, with Qwen3.5-4B on DATASET=refcoco, geometry3k_mmk12, geometry3k or mm_eureka.
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen3_5 "${MODEL_PATH:-Qwen/Qwen3.5-4B}"
dataset_of "${DATASET:-refcoco}" refcoco geometry3k_mmk12 geometry3k mm_eureka

METHOD=(+method=grpo)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
