#!/usr/bin/env bash
# Shared by all recipes: the size of the job, the model families, the data sets with their papers' settings, the launch.
# Sourced by run_*.sh, which call a family and then a data set; these fill DATA MODEL ACTOR ROLLOUT TRAINER. A data set
# adds the settings of BASELINE (baselines.sh) last. README.md has the source of each setting; [choice] marks ours.
# shellcheck disable=SC2034  # the arrays are read by the recipes

# shellcheck source=recipes/baselines.sh
source "$(dirname "${BASH_SOURCE[0]}")/baselines.sh"

# --- The job: every value can be set in the environment ---------------------------------------------------------------
NNODES=${NNODES:-1}                              # machines
GPUS=${GPUS:-8}                                  # per machine
TP=${TP:-1}                                      # GPUs that share one copy of the model in vLLM
MAX_TOKENS=${MAX_TOKENS:-12288}                  # packed tokens that a GPU trains on at once; sets the memory of activations
# A run on another data set or with a baseline does not resume from the plain run's checkpoints.
EXPERIMENT=${EXPERIMENT:-$(basename "$0" .sh)${DATASET:+_$DATASET}${BASELINE:+_$BASELINE}}
DATA_DIR=$(realpath -m "${DATA_DIR:-data}")      # absolute, because Ray's workers start in other folders
OUT=$(realpath -m "${OUT:-outputs/$EXPERIMENT}") # all that the run leaves (run_dir); a folder that all machines see

# A process of verl that cannot load the plugin ends with an ImportError; with verl's entry points it would continue.
export VERL_USE_EXTERNAL_MODULES=verl_plugins.register # Ray's workers get it from config/shared/trainer.yaml

DATA=(
    data.filter_overlong_prompts=true
    data.seed=42
)
MODEL=(
    actor_rollout_ref.model.use_remove_padding=true
    actor_rollout_ref.model.enable_gradient_checkpointing=true
)
ACTOR=(
    actor_rollout_ref.actor.strategy=fsdp2
    actor_rollout_ref.actor.use_dynamic_bsz=true
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu="$MAX_TOKENS"
    # Compiled once, as a whole. In chunks, torch.compile compiles again for each number of tokens until it gives up, and
    # then the update of a 3B model needs twice the memory.
    actor_rollout_ref.actor.entropy_from_logits_with_chunking=false
    actor_rollout_ref.actor.optim.lr=1e-6 # ECVGPO's and VEPO's; for SaEI [choice]
)
ROLLOUT=(
    actor_rollout_ref.rollout.name=vllm
    actor_rollout_ref.rollout.temperature=1.0 # ECVGPO's and VEPO's; for SaEI [choice]
    actor_rollout_ref.rollout.tensor_model_parallel_size="$TP"
    actor_rollout_ref.rollout.gpu_memory_utilization="${GPU_MEMORY_UTILIZATION:-0.6}"
    +actor_rollout_ref.rollout.engine_kwargs.vllm.limit_mm_per_prompt="{video:0}" # else vLLM encodes a dummy video at its start
    # GiB of processed images that each server caches; the default of 4 makes 32 on a machine with 8 servers. An image is
    # needed again only while its prompt's responses are sampled.
    +actor_rollout_ref.rollout.engine_kwargs.vllm.mm_processor_cache_gb=1
)
TRAINER=(
    run_dir="$OUT"
    trainer.nnodes="$NNODES"
    trainer.n_gpus_per_node="$GPUS"
    trainer.project_name=verl_plugins
    trainer.experiment_name="$EXPERIMENT"
    ${LOGGER:+trainer.logger="$LOGGER"}
)

# --- Model families ---------------------------------------------------------------------------------------------------
qwen2_5_vl() { # MODEL_PATH
    MODEL+=(actor_rollout_ref.model.path="$1")
    PATCH_SIZE=14
    BOX_SPACE=processed # pixels of the image after resizing
}

qwen3_vl() { # MODEL_PATH
    MODEL+=(actor_rollout_ref.model.path="$1")
    PATCH_SIZE=16
    BOX_SPACE=0-1000
    # The Instruct models may leave <think> out, and the format reward is then 0 for every response (EasyR1's issue 597).
    # FORM=answer (boxes) or FORM=boxed (maths) asks for no <think>.
}

qwen3_5() { # MODEL_PATH
    qwen3_vl "$1" # the same image processor and box space
    # The chat template ends a prompt with an open <think> unless told otherwise. The data sets' prompts ask for the tags,
    # and the rewards count a response without the opening one as a wrong form.
    DATA+=(+data.apply_chat_template_kwargs.enable_thinking=false)
    # As verl's own script for Qwen3.5 has it: vLLM would cache prefixes of linear attention in a mode of its own.
    ROLLOUT+=(actor_rollout_ref.rollout.enable_prefix_caching=false)
}

internvl3() { # MODEL_PATH
    MODEL+=(actor_rollout_ref.model.path="$1")
    PATCH_SIZE=14
    BOX_SPACE=0-1000
    # verl does not support InternVL's processor; the plugin does (verl_plugins/internvl.py).
    MODEL+=(actor_rollout_ref.model._target_=verl_plugins.internvl.InternVLModelConfig)
    ROLLOUT+=(actor_rollout_ref.rollout.agent.default_agent_loop=image_single_turn_agent)
    TILE=$((448 * 448)) # images are cut into tiles of this size, 256 tokens each, and a thumbnail
}

lengths() { # PROMPT RESPONSE, in tokens, images included
    DATA+=(
        data.max_prompt_length="$1"
        data.max_response_length="$2"
    )
    # vLLM starts only if its cache can hold one request of this length; Qwen3-VL's default is 262,144 tokens
    ROLLOUT+=(actor_rollout_ref.rollout.max_model_len=$(($1 + $2)))
}

image_pixels() { # MIN MAX: range of pixels that the processor scales images to, in training and in vLLM
    DATA+=(data.image_patch_size="$PATCH_SIZE")
    if [[ -n "${TILE:-}" ]]; then
        DATA+=(+data.mm_processor_kwargs.max_patches=$(($2 / TILE)))
        return
    fi
    local limits="{min_pixels:$1,max_pixels:$2}"
    DATA+=(+data.mm_processor_kwargs="$limits")
    ROLLOUT+=(+actor_rollout_ref.rollout.engine_kwargs.vllm.mm_processor_kwargs="$limits")
}

# --- Data sets, with the settings of the paper that trains on them ----------------------------------------------------
# All methods on a data set run with its settings, and so does GRPO, with the same number of responses: an equal budget.
refcoco() { # ECVGPO, arXiv 2512.06726, on VLM-R1's trainer
    DATA+=(
        data.train_files="${TRAIN_FILES:-[$DATA_DIR/refcoco/train.parquet,$DATA_DIR/refcoco_plus/train.parquet,$DATA_DIR/refcocog/train.parquet]}"
        data.val_files="${VAL_FILES:-[$DATA_DIR/refcoco/val.parquet,$DATA_DIR/lisa_grounding/test.parquet]}"
        data.val_max_samples=2000 # drawn with seed 42, as VLM-R1 evaluates
    )
    # The paper says 4, which is ambiguous: 4 prompts on each of 8 GPUs in VLM-R1's older versions, 4 to 8 prompts in all
    # in its current sampler, which counts completions. README.md has both overrides [choice].
    batch 32 32      # 1 iteration
    lengths 2048 2048 # VLM-R1's longest completion; the prompt [choice]
    # 4 to 1280 tokens in Qwen2.5-VL: RefCOCO's images keep their size, as with VLM-R1's 12,845,056 [choice]
    local min_pixels=3136 max_pixels=1003520
    image_pixels "$min_pixels" "$max_pixels"
    # IoU + 0.5 for the format, as in the paper; the form is VLM-R1's, whose prompt asks for <think>, too
    local settings="preset:ecvgpo,form:${FORM:-think_answer},box_space:$BOX_SPACE"
    if [[ "$BOX_SPACE" == processed ]]; then
        settings+=",patch_size:$PATCH_SIZE,min_pixels:$min_pixels,max_pixels:$max_pixels"
    fi
    DATA+=(
        reward.custom_reward_function.path=pkg://reward_fns.grounding
        +reward.custom_reward_function.reward_kwargs="{$settings}"
    )
    ACTOR+=(
        actor_rollout_ref.actor.use_kl_loss=true
        actor_rollout_ref.actor.kl_loss_coef=0.04
        actor_rollout_ref.actor.kl_loss_type=low_var_kl # k3
    )
    ROLLOUT+=(actor_rollout_ref.rollout.n=8)
    TRAINER+=(
        trainer.total_epochs="${EPOCHS:-2}" # VLM-R1's, of which it reports the first 500 steps
        trainer.save_freq=100               # VLM-R1's
        trainer.test_freq=100               # [choice]
    )
    local base=${BASE:-vlm_r1}
    expect_one_of BASE "$base" vlm_r1 verl
    if [[ "$base" == vlm_r1 ]]; then
        ACTOR+=(
            actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean # mean of each response, then over responses
            actor_rollout_ref.actor.optim.weight_decay=0
            # VLM-R1's falls linearly to 0. verl's FSDP engine has constant and cosine; the cosine has the same ends and
            # mean, and is never further from the line than 0.11 of the initial rate.
            actor_rollout_ref.actor.optim.lr_scheduler_type=cosine
        )
    fi
    if [[ -z "${EPOCHS:-}" ]]; then
        TRAINER+=(trainer.total_training_steps=500) # VLM-R1's issues 43 and 75: some 8,000 images of 320,000 rows
    fi
    FILTER_METRIC=reward # IoUs differ; by accuracy, groups would be left out whose boxes are good to different degrees
    baseline "${BASELINE:-}"
}

geometry3k_mmk12() { # VEPO, arXiv 2606.03937, and its released code, based on EasyR1
    DATA+=(
        data.train_files="${TRAIN_FILES:-[$DATA_DIR/geometry3k/train.parquet,$DATA_DIR/mmk12/train.parquet]}"
        data.val_files="${VAL_FILES:-[$DATA_DIR/geometry3k/test.parquet,$DATA_DIR/mmk12/test.parquet]}"
    )
    # 128 is in the paper's Table 5 and in the script. As executed it is 256 prompts, because the code doubles it when it
    # perturbs images: actor_rollout_ref.actor.ppo_mini_batch_size=256
    batch 512 128
    reasoning
    ACTOR+=(
        actor_rollout_ref.actor.freeze_vision_tower=true
        actor_rollout_ref.actor.entropy_coeff="$VEPO_ENTROPY_BONUS"
    )
    TRAINER+=(
        trainer.total_epochs="${EPOCHS:-20}" # 160 steps on 4.2K rows; the script's total_episodes
        trainer.save_freq=8
        trainer.test_freq=8
    )
    HAS_ENTROPY_BONUS=1
    baseline "${BASELINE:-}"
}

geometry3k() { # SaEI, arXiv 2512.10414, gives n1, n2, T and alpha; the rest is VEPO's, with a smaller batch [choice]
    DATA+=(
        data.train_files="${TRAIN_FILES:-$DATA_DIR/geometry3k/train.parquet}"
        data.val_files="${VAL_FILES:-$DATA_DIR/geometry3k/test.parquet}"
    )
    batch 128 128
    reasoning
    TRAINER+=(
        trainer.total_epochs="${EPOCHS:-15}" # [choice]
        trainer.save_freq=32
        trainer.test_freq=16
    )
    baseline "${BASELINE:-}"
}

mmk12() { # NoisyRollout's second data set, arXiv 2504.13055: 10 epochs
    DATA+=(
        data.train_files="${TRAIN_FILES:-$DATA_DIR/mmk12/train.parquet}"
        data.val_files="${VAL_FILES:-$DATA_DIR/mmk12/test.parquet}"
    )
    batch 512 128
    reasoning
    TRAINER+=(
        trainer.total_epochs="${EPOCHS:-10}"
        trainer.save_freq=20
        trainer.test_freq=5
    )
}

mm_eureka() { # SaEI, as for Geometry3K; MM-Eureka has no validation rows
    DATA+=(
        data.train_files="${TRAIN_FILES:-$DATA_DIR/mm_eureka/train.parquet}"
        data.val_files="${VAL_FILES:-$DATA_DIR/mmk12/test.parquet}"
    )
    batch 128 128
    reasoning
    TRAINER+=(
        trainer.total_epochs="${EPOCHS:-1}" # [choice]
        trainer.save_freq=50
        trainer.test_freq=50
    )
    baseline "${BASELINE:-}"
}

reasoning() { # settings shared by the data sets of questions
    image_pixels 262144 1000000
    lengths 2048 2048
    DATA+=(
        reward.custom_reward_function.path=pkg://reward_fns.math
        +reward.custom_reward_function.reward_kwargs="{preset:vepo,form:${FORM:-think_boxed}}" # 0.9 accuracy + 0.1 format
    )
    ACTOR+=(
        actor_rollout_ref.actor.optim.weight_decay=1e-2
        actor_rollout_ref.actor.grad_clip=1.0
        actor_rollout_ref.actor.clip_ratio=0.2
    )
    ROLLOUT+=(actor_rollout_ref.rollout.n=12) # 6 + 6 with SaEI and NoisyRollout
    FILTER_METRIC=accuracy                    # DAPO's: groups of right and wrong answers
}

batch() { # PROMPTS MINI_BATCH: prompts of a step, and of each of its updates
    PROMPTS=$1
    MINI_BATCH=$2
    DATA+=(data.train_batch_size="$PROMPTS")
    ACTOR+=(actor_rollout_ref.actor.ppo_mini_batch_size="$MINI_BATCH")
}

dataset_of() { # NAME ALLOWED...: the data set NAME, if the recipe allows it
    expect_one_of DATASET "$@"
    "$1"
}

# --- Launch -----------------------------------------------------------------------------------------------------------
launch() { # OVERRIDES...: train; with DRY_RUN=1, only print the composed config and its problems
    if [[ "${DRY_RUN:-0}" == 1 ]]; then
        exec verl-plugins compose "$@"
    fi
    exec python3 -m verl.trainer.main_ppo "$@"
}
