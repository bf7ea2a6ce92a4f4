"""Responses of two turns with an image from a tool between them: only what the policy wrote is trained on."""

import pytest
from crop_tool import tool_overrides
from precision import FEW_PROMPTS

pytestmark = pytest.mark.slow


def test_both_methods_train_on_the_turns_of_the_policy(train, tmp_path):
    settings = [*tool_overrides(tmp_path), *FEW_PROMPTS, "algorithm.ecvgpo.delta=9"]
    steps = train("tools", "[ecvgpo,vepo]", 2, *settings)
    for row in steps.values():
        assert row["num_turns/mean"] == row["num_turns/min"] == 4  # user, policy, tool, policy
        assert row["ecvgpo/reshaped_tokens"] > 0
        assert row["vepo/rows_without_image"] == 0
        assert row["vepo/jsd_kept"] > row["vepo/jsd_dropped"] > 0
        # at least a fifth of the policy's own tokens, and none of the tool's
        assert 0.2 <= row["vepo/selected_tokens"] < 0.3
        assert row["actor/grad_norm"] > 0
        assert row["training/rollout_probs_diff_mean"] < 1e-5  # the actor saw the tool's image as the rollout did
