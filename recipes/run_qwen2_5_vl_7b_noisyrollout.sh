#!/usr/bin/env bash
# NoisyRollout on DATASET=geometry3k or mmk12 with Qwen2.5-VL-7B (arXiv 2504.13055).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen2_5_vl "${MODEL_PATH:-Qwen/Qwen2.5-VL-7B-Instruct}"
refuse_baseline NoisyRollout
dataset_of "${DATASET:-geometry3k}" geometry3k mmk12

# The authors' settings: training_scripts/ of github.com/NUS-TRAIL/NoisyRollout at 09347dd. GRPO with an equal budget:
# run_qwen2_5_vl_7b_grpo.sh with the overrides of DATA, ACTOR and TRAINER below.
METHOD=(+method=noisyrollout) # n1 = n2 = 6; Geometry3K: alpha_0 = 500, lambda = 30, gamma = 40 of 60 steps
if [[ "${DATASET:-geometry3k}" == mmk12 ]]; then
    METHOD+=(
        algorithm.noisyrollout.strength=450
        algorithm.noisyrollout.schedule_steepness=60
        algorithm.noisyrollout.schedule_midpoint=0.3333 # gamma = 40 of 120 steps: 10 epochs of 12 [choice: rows not stated there]
    )
fi
DATA+=(data.train_batch_size=512)
ACTOR+=( # lr, weight decay, clip range and the mini-batches of 128 are theirs too; their code doubles 128 as it starts
    actor_rollout_ref.actor.freeze_vision_tower=true
    actor_rollout_ref.actor.entropy_coeff=1e-3
)
TRAINER+=(
    trainer.save_freq=20
    trainer.test_freq=5
)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
