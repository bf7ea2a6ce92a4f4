#!/usr/bin/env bash
# VEPO on Geometry3K and MMK12 with InternVL3-8B (arXiv 2606.03937).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
internvl3 "${MODEL_PATH:-OpenGVLab/InternVL3-8B-hf}"
geometry3k_mmk12

METHOD=(+method=vepo)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
