"""SaEI with groups that verl filters and refills while it samples, in bypass mode."""

import pytest
from precision import FEW_PROMPTS

pytestmark = pytest.mark.slow


def test_groups_are_filtered_by_the_clean_half_and_each_is_sampled_again(train):
    steps = train(
        "filtered",
        "[saei,vepo]",
        2,
        "algorithm.filter_groups.enable=true",
        "algorithm.rollout_correction.bypass_mode=true",
        "algorithm.saei.update=adversarial",
        "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean",
        *FEW_PROMPTS,
    )
    for row in steps.values():
        assert row["groups/size"] == 8  # 4 on the clean image, 4 on the adversarial one, of every group that is left
        assert row["saei/mixed_groups_clean"] == 1
        assert row["saei/adversarial_responses"] == 0.5
        assert row["saei/selective_entropy_adversarial"] > row["saei/selective_entropy_clean"]
        assert row["vepo/jsd_kept"] > row["vepo/jsd_dropped"] > 0
        assert row["actor/entropy"] > 0
        assert row["actor/grad_norm"] > 0
