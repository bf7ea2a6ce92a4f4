#!/usr/bin/env bash
# VEPO on Geometry3K and MMK12 with Qwen2.5-VL-3B (arXiv 2606.03937).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen2_5_vl "${MODEL_PATH:-Qwen/Qwen2.5-VL-3B-Instruct}"
geometry3k_mmk12

METHOD=(+method=vepo)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
