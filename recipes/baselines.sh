#!/usr/bin/env bash
# The baselines that the papers compare with, each by its name: BASELINE=kl_cov recipes/run_..._grpo.sh
# Sourced by common.sh. They are verl's own losses and filters; what is not named here stays as the data set has it.
# shellcheck disable=SC2034  # the arrays are read by the recipes

BASELINES=(kl_cov clip_cov clip_higher entropy_bonus dapo gspo)
VEPO_ENTROPY_BONUS=1e-3 # VEPO trains every run with it
HAS_ENTROPY_BONUS=0     # whether the data set's settings have a bonus already

baseline() { # NAME: the settings of a baseline; nothing for an empty name. PROMPTS, MINI_BATCH, FILTER_METRIC are set.
    if [[ -z "$1" ]]; then
        return
    fi
    expect_one_of BASELINE "$1" "${BASELINES[@]}"
    "baseline_$1"
}

baseline_kl_cov() { # KL-Cov, arXiv 2505.22617; values of its authors' script for a 7B (kl_cov_ratio=0.0002 for the 32B)
    ACTOR+=(
        actor_rollout_ref.actor.policy_loss.loss_mode=kl_cov
        actor_rollout_ref.actor.policy_loss.kl_cov_ratio=0.002
        actor_rollout_ref.actor.policy_loss.ppo_kl_coef=1
        actor_rollout_ref.actor.entropy_coeff=0 # it replaces the bonus
    )
    update_more_than_once # the penalty |log p - log p_old| has no gradient while p is p_old
}

baseline_clip_cov() { # Clip-Cov, arXiv 2505.22617; values of its authors' scripts
    ACTOR+=(
        actor_rollout_ref.actor.policy_loss.loss_mode=clip_cov
        actor_rollout_ref.actor.policy_loss.clip_cov_ratio=0.0002
        actor_rollout_ref.actor.policy_loss.clip_cov_lb=1.0
        actor_rollout_ref.actor.policy_loss.clip_cov_ub=5.0
        actor_rollout_ref.actor.clip_ratio_low=1 # PPO's own clipping is wide open
        actor_rollout_ref.actor.clip_ratio_high=1
        actor_rollout_ref.actor.entropy_coeff=0 # it replaces the bonus
    )
}

baseline_clip_higher() { # DAPO's clip-higher alone, arXiv 2503.14476
    ACTOR+=(
        actor_rollout_ref.actor.clip_ratio_low=0.2
        actor_rollout_ref.actor.clip_ratio_high=0.28
    )
    update_more_than_once # the ratio is 1 in the first update of a step, and nothing is clipped
}

baseline_entropy_bonus() { # an entropy bonus in the loss, as large as VEPO's; SaEI's and ECVGPO's sources name no value
    if ((HAS_ENTROPY_BONUS)); then
        echo "BASELINE: got entropy_bonus, expected another (every run on this data set has VEPO's bonus of" \
            "$VEPO_ENTROPY_BONUS already); for GRPO without it, unset BASELINE and append" \
            "actor_rollout_ref.actor.entropy_coeff=0" >&2
        exit 2
    fi
    ACTOR+=(actor_rollout_ref.actor.entropy_coeff="$VEPO_ENTROPY_BONUS")
}

baseline_dapo() { # DAPO, arXiv 2503.14476: clip-higher, dynamic sampling, token-level loss, no KL, no entropy bonus
    # Left out: its penalty for overlong responses, whose lengths (a buffer of 4,096 of 20,480 tokens) have no counterpart
    # here; and its sizes: 16 responses, 16 updates a step.
    baseline_clip_higher
    ACTOR+=(
        actor_rollout_ref.actor.clip_ratio_c=10.0 # as in its authors' script
        actor_rollout_ref.actor.loss_agg_mode=token-mean
        actor_rollout_ref.actor.use_kl_loss=false
        actor_rollout_ref.actor.entropy_coeff=0
    )
    TRAINER+=(
        algorithm.filter_groups.enable=true
        algorithm.filter_groups.metric="$FILTER_METRIC"
    )
}

baseline_gspo() { # GSPO, arXiv 2507.18071; its clipping ranges, and its four updates of a step
    ACTOR+=(
        actor_rollout_ref.actor.policy_loss.loss_mode=gspo
        actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean
        actor_rollout_ref.actor.clip_ratio_low=3e-4
        actor_rollout_ref.actor.clip_ratio_high=4e-4
    )
    update_more_than_once # with one, the ratios are 1 and this is GRPO
}

refuse_baseline() { # METHOD: for a recipe whose method has all of these settings itself
    if [[ -n "${BASELINE:-}" ]]; then
        echo "BASELINE: got $BASELINE, expected none with $1, whose settings are its own; unset BASELINE" >&2
        exit 2
    fi
}

update_more_than_once() { # four updates a step, as VEPO has and GSPO, where the data set's settings have one [choice]
    if ((MINI_BATCH == PROMPTS)); then
        ACTOR+=(actor_rollout_ref.actor.ppo_mini_batch_size=$((PROMPTS / 4)))
    fi
}

expect_one_of() { # VARIABLE VALUE ALLOWED...: end unless the value is allowed
    local variable=$1 value=$2 allowed
    shift 2
    for allowed in "$@"; do
        if [[ "$value" == "$allowed" ]]; then
            return
        fi
    done
    echo "$variable: got $value, expected one of: $*" >&2
    exit 2
}
