#!/usr/bin/env bash
# VPPO on ViRL39K with Qwen2.5-VL-7B (arXiv 2510.09285).
set -xeuo pipefail

# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
qwen2_5_vl "${MODEL_PATH:-Qwen/Qwen2.5-VL-7B-Instruct}"
refuse_baseline VPPO

# The settings of MM-Eureka, which fit best (a trained vision tower, MMK12 for validation), on the paper's data and with the
# paper's values where they differ: its table 9, and examples/configs of its code (huaixuheqing/VPPO-RL), where named.
# Left as they are for the sake of one set of lengths: 262,144 to 1,000,000 pixels and prompts of 2,048 tokens; the code has
# 200,704 to 1,003,520 pixels and 4,096 tokens.
TRAIN_FILES=${TRAIN_FILES:-$DATA_DIR/virl39k/train.parquet}
VAL_FILES=${VAL_FILES:-$DATA_DIR/mmk12/test.parquet}
EPOCHS=${EPOCHS:-2}
mm_eureka
DATA+=(
    data.train_batch_size=384                                         # table 9; mini-batches of 128 prompts are set already
    algorithm.filter_groups.enable=true                               # DAPO's dynamic sampling, table 9
    +reward.custom_reward_function.reward_kwargs.accuracy_weight=1.0  # the reward is the accuracy alone, table 9
    +reward.custom_reward_function.reward_kwargs.format_weight=0.0
)
ACTOR+=(
    actor_rollout_ref.actor.clip_ratio_low=0.2   # table 9
    actor_rollout_ref.actor.clip_ratio_high=0.28 # table 9
    actor_rollout_ref.actor.use_kl_loss=false    # table 9
    # The paper penalises the entropy by 0.06 (section 4, appendix E). Its code penalises -log p of the sampled tokens, whose
    # gradient is zero in the mean while the policy is the old one. verl's entropy_coeff=-0.06 would lower the entropy itself
    # in every step, so the recipe has none [choice]
    actor_rollout_ref.actor.entropy_coeff=0
)
ROLLOUT+=(
    actor_rollout_ref.rollout.n=8        # table 9
    actor_rollout_ref.rollout.top_p=0.99 # table 9
)

METHOD=(+method=vppo)
launch "${METHOD[@]}" "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${TRAINER[@]}" "$@"
