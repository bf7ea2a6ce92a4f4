"""SaEI on Qwen3-VL in bypass mode, with groups that verl filters and refills while it samples, and fused kernels."""

import distinct_characters
import pytest
import tiny_families

pytestmark = pytest.mark.slow


def test_groups_are_filtered_by_the_clean_half_and_each_is_sampled_again(train, tmp_path):
    tiny_families.build("qwen3_vl", tmp_path / "model")
    steps = train(
        "filtered",
        "[saei,vepo]",
        2,
        "algorithm.filter_groups.enable=true",
        "algorithm.rollout_correction.bypass_mode=true",
        "algorithm.saei.update=adversarial",
        "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean",
        "actor_rollout_ref.model.use_remove_padding=true",
        "actor_rollout_ref.model.use_fused_kernels=true",
        f"actor_rollout_ref.model.path={tmp_path / 'model'}",
        *tiny_families.OVERRIDES["qwen3_vl"],
        f"reward.custom_reward_function.path={distinct_characters.__file__}",
        "reward.custom_reward_function.name=one_in_four",
    )
    assert sum(row.get("training/filter_groups/evicted_samples", 0) for row in steps.values()) > 0
    for row in steps.values():
        assert row["groups/size"] == 8  # 4 on the clean image, 4 on the adversarial one, of every group that is left
        assert row["saei/mixed_groups_clean"] == 1
        assert row["saei/adversarial_responses"] == 0.5
        assert row["saei/selective_entropy_adversarial"] > row["saei/selective_entropy_clean"]
        assert row["saei/pixel_change"] > 1.0
        assert row["saei/prompts_without_image"] == 0
        assert row["vepo/jsd_kept"] > row["vepo/jsd_dropped"] > 0
        assert row["actor/entropy"] > 0
        assert row["actor/grad_norm"] > 0
