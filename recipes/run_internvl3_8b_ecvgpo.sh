#!/usr/bin/env bash
# ECVGPO on RefCOCO, RefCOCO+ and RefCOCOg with InternVL3-8B (arXiv 2512.06726).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
internvl3 "${MODEL_PATH:-OpenGVLab/InternVL3-8B-hf}"
refcoco

METHOD=(
    +method=ecvgpo
    algorithm.ecvgpo.r0="${R0:--50}" # the paper's value for InternVL3-8B
)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
