"""What an engine did not compute is told by name in the first step."""

import pytest
import torch
from tensordict import TensorDict

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.training.signals import expect_columns, expect_signals

ZERO, ONES = torch.zeros(2, 3), torch.ones(2, 3)


def batch(**changes):
    values = {"old_log_probs": -ONES, "entropy": ONES, "rollout_log_probs": -ONES, "response_mask": ONES} | changes
    return AdvantageBatch(advantages=ONES, rewards=torch.zeros(2), groups=torch.zeros(2).long(), **values)


def test_computed_columns_pass():
    expect_signals(batch())
    expect_signals(batch(entropy=None))
    expect_signals(batch(response_mask=ZERO, entropy=ZERO))  # padding rows alone
    expect_signals(batch(old_log_probs=ZERO, entropy=ZERO, rollout_log_probs=ZERO))  # a policy without doubt


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entropy": ZERO}, r"^entropy: got 0 at all 6 response tokens, .* set actor_rollout_ref.model.use_fused_kern"),
        (
            {"old_log_probs": ZERO},
            r"^old_log_probs: got 0 at all 6 .*calculate_log_probs=true",
        ),
        ({"old_log_probs": ZERO, "entropy": None}, r"^old_log_probs: got 0 at all 6"),
        (
            {"entropy": torch.tensor([[0, 0, 9.0]] * 2), "response_mask": torch.tensor([[1, 1, 0]] * 2)},
            r"at all 4 resp",
        ),
    ],
)
def test_a_column_of_zeros_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        expect_signals(batch(**changes))


def test_a_column_that_does_not_exist_is_named():
    data = TensorDict({"old_log_probs": ZERO}, batch_size=2)
    expect_columns(data, ["old_log_probs"])
    with pytest.raises(ValueError, match=r"^entropy: got no such column, expected .*; set actor_rollout_ref.model"):
        expect_columns(data, ["old_log_probs", "entropy"])
    with pytest.raises(ValueError, match=r"^jsd: got no such column, .* from the actor's engine"):
        expect_columns(data, ["jsd"])
