"""Each family of models through all three methods, two updates, a checkpoint, and back into transformers.

In packed rows without padding, as on a GPU; Qwen2.5-VL's attention is verl's there, which needs flash-attn.
"""

import json

import distinct_characters
import pytest
import tiny_families
from checkpoints import assert_merges_and_loads

pytestmark = pytest.mark.slow

INTERNVL = [
    "actor_rollout_ref.model._target_=verl_plugins.internvl.InternVLModelConfig",
    "+data.mm_processor_kwargs.crop_to_patches=false",
]
QWEN3_VL = ["+data.mm_processor_kwargs={min_pixels:102400,max_pixels:200704}"]  # more than its processor's own limit
QWEN3_5 = [
    *QWEN3_VL,
    "+data.apply_chat_template_kwargs.enable_thinking=false",
    "actor_rollout_ref.rollout.dtype=bfloat16",  # vLLM's linear attention on a CPU takes no other
    "actor_rollout_ref.rollout.enable_prefix_caching=false",
]
FAMILIES = {"qwen3_vl": QWEN3_VL, "qwen3_5": QWEN3_5, "internvl3": INTERNVL}  # a random Qwen2.5-VL is in test_golden.py
AS_RECIPES_HAVE_IT = [  # recipes/common.sh: what the CPU platform and the demo leave out
    "data.filter_overlong_prompts=true",
    "actor_rollout_ref.model.use_remove_padding=true",
    "actor_rollout_ref.model.enable_gradient_checkpointing=true",
    "actor_rollout_ref.actor.use_kl_loss=true",
    "actor_rollout_ref.actor.use_dynamic_bsz=true",
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=1024",
    "actor_rollout_ref.actor.entropy_from_logits_with_chunking=false",
]
# Number of tokens that stand for images and videos, which are never sampled.
BANNED = {"qwen3_vl": 2, "qwen3_5": 2, "internvl3": 1}


@pytest.mark.parametrize("family", FAMILIES)
def test_two_updates_with_all_methods_and_the_checkpoint_in_transformers(family, train, tmp_path):
    tiny_families.build(family, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    ban = BANNED[family] / config["text_config"]["vocab_size"]  # what these tokens take of a nearly uniform policy
    tolerance = 0.3 if family == "qwen3_5" else 0.1  # bfloat16 is off by 0.0008 on average, the ban by 0.0037
    metrics = train(
        "run",
        "[ecvgpo,vepo,saei]",
        2,
        *FAMILIES[family],
        *AS_RECIPES_HAVE_IT,
        f"actor_rollout_ref.model.path={tmp_path / 'model'}",
        f"reward.custom_reward_function.path={distinct_characters.__file__}",
        "actor_rollout_ref.rollout.calculate_log_probs=true",
        "algorithm.saei.update=adversarial",  # then the actor sees what the rollout engine saw
        "trainer.save_freq=2",
    )
    for step in (1, 2):
        # The rollout engine's log-probabilities are the actor's but for the ban, on clean and on adversarial images.
        for half in ("clean", "adversarial"):
            assert metrics[step][f"saei/log_prob_mismatch_{half}"] == pytest.approx(ban, rel=tolerance)
        assert metrics[step]["saei/prompts_without_image"] == 0 and metrics[step]["vepo/rows_without_image"] == 0
        assert metrics[step]["saei/pixel_change"] > 1.0
        assert metrics[step]["actor/kl_loss"] >= 0.0
        assert metrics[step]["vepo/jsd"] > 0.0 and metrics[step]["actor/grad_norm"] > 0.0

    actor = tmp_path / "run" / "checkpoints" / "global_step_2" / "actor"
    assert_merges_and_loads(actor, tmp_path / "model", tmp_path / "merged")
