#!/usr/bin/env bash
# ECVGPO on RefCOCO, RefCOCO+ and RefCOCOg with Qwen2.5-VL-3B (arXiv 2512.06726).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen2_5_vl "${MODEL_PATH:-Qwen/Qwen2.5-VL-3B-Instruct}"
refcoco

METHOD=(
    +method=ecvgpo
    algorithm.ecvgpo.r0="${R0:-10}" # the paper's value for Qwen2.5-VL
)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
