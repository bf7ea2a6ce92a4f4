#!/usr/bin/env bash
# VEPO on Geometry3K and MMK12 with Qwen3.5-9B (arXiv 2606.03937).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen3_5 "${MODEL_PATH:-Qwen/Qwen3.5-9B}"
geometry3k_mmk12

METHOD=(+method=vepo)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
