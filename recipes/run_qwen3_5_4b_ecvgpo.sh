#!/usr/bin/env bash
# ECVGPO on RefCOCO, RefCOCO+ and RefCOCOg with Qwen3.5-4B (arXiv 2512.06726).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen3_5 "${MODEL_PATH:-Qwen/Qwen3.5-4B}"
refcoco

METHOD=(
    +method=ecvgpo
    algorithm.ecvgpo.r0="${R0:-10}" # the value for Qwen2.5-VL, because the paper has no Qwen3.5 [choice]
)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
