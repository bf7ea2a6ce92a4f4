"""SaEI's selection and objective by hand and by autograd, its settings, and its metrics."""

from __future__ import annotations

import math

import pytest
import torch
from selective_entropy import selective_entropy

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.saei.apply import apply
from verl_plugins.methods.saei.maths import (
    SaEIConfig,
    middle_band_mask,
    select_tokens,
    token_entropy,
)


def band(entropy, low=1 / 3, high=2 / 3, mask=None):
    entropy = torch.tensor([entropy])
    mask = torch.ones_like(entropy) if mask is None else torch.tensor([mask])
    return middle_band_mask(entropy, mask, low, high)[0].int().tolist()


def test_the_middle_third_by_hand():
    assert band([0.9, 0.1, 0.5]) == [0, 0, 1]
    assert band([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]) == [0, 0, 1, 1, 0, 0]
    assert band([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) == [0, 0, 1, 1, 1, 0, 0]  # two dropped on each side of seven
    assert band([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]) == [0, 0, 1, 1, 1, 1, 0, 0]
    assert band([2.0, 3.0, 1.0, 4.0] + [9.0, 8.0, 7.0, 6.0, 5.0]) == [0, 0, 0, 1, 0, 0, 0, 1, 1]


def test_short_responses_keep_what_they_have():
    assert band([0.7]) == [1]
    assert band([0.7, 0.1]) == [1, 1]
    assert band([0.7, 0.1], mask=[0, 0]) == [0, 0]
    assert band([0.7, 0.1, 5.0], mask=[1, 1, 0]) == [1, 1, 0]


def test_equal_entropies_rank_by_position():
    assert band([0.5] * 6) == [0, 0, 1, 1, 0, 0]
    assert band([0.0, 0.5, 0.5, 0.5, 0.5, 1.0]) == [0, 0, 1, 1, 0, 0]
    assert band([1.0, 1.0, 0.0]) == [1, 0, 0]


def test_values_outside_the_mask_do_not_count():
    assert band([0.9, 0.1, 0.5, math.inf, math.nan], mask=[1, 1, 1, 0, 0]) == [0, 0, 1, 0, 0]
    assert band([math.nan, 0.9, 0.1, 0.5], mask=[0, 1, 1, 1]) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("name", "kept"),
    [("bottom", [1, 1, 0, 0, 0, 0]), ("top", [0, 0, 0, 0, 1, 1]), ("all", [1] * 6), ((0.5, 1.0), [0, 0, 0, 1, 1, 1])],
)
def test_other_bands(name, kept):
    entropy = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    assert select_tokens(entropy, torch.ones(1, 6), SaEIConfig(band=name))[0].int().tolist() == kept


def test_a_random_third_hangs_on_the_noise_alone():
    noise = torch.tensor([[0.4, 0.1, 0.9]])
    config = SaEIConfig(band="random")
    assert select_tokens(torch.tensor([[9.0, 5.0, 1.0]]), torch.ones(1, 3), config, noise)[0].int().tolist() == [
        1,
        0,
        0,
    ]
    with pytest.raises(ValueError, match=r"algorithm\.saei\.band=random: got no noise"):
        select_tokens(torch.ones(1, 3), torch.ones(1, 3), config)


def test_selective_entropy_is_the_mean_over_the_kept_tokens_and_its_gradient_flows_through_them_alone():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 7, 11, generator=generator).requires_grad_()
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    entropy, kept = selective_entropy(logits, mask, SaEIConfig())
    p = logits.detach().double().softmax(-1)
    every = -(p * p.log()).sum(-1)
    assert kept.sum(1).tolist() == [3, 2]
    for row in (0, 1):
        torch.testing.assert_close(entropy[row].double(), every[row][kept[row]].mean(), rtol=1e-5, atol=1e-6)
    entropy.sum().backward()
    assert torch.equal(logits.grad.abs().sum(-1) > 0, kept)


def test_forbidden_tokens_add_nothing_to_the_entropy():
    logits = torch.tensor([[0.0, 0.0, -math.inf]], requires_grad=True)
    entropy = token_entropy(logits)
    entropy.sum().backward()
    assert entropy.item() == pytest.approx(math.log(2))
    assert not logits.grad.isnan().any()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"n1": 0}, "algorithm.saei.n1: got 0"),
        ({"n1": True}, "algorithm.saei.n1: got True, expected a whole number"),
        ({"n2": True}, "algorithm.saei.n2: got True"),
        ({"alpha": True}, "algorithm.saei.alpha: got True"),
        ({"steps": True}, "algorithm.saei.steps: got True"),
        ({"epsilon": False}, "algorithm.saei.epsilon: got False"),
        ({"band": [0.1, True]}, r"algorithm.saei.band: got \[0.1, True\]"),
        ({"band": ["0.1", "0.9"]}, "algorithm.saei.band: got"),
        ({"n2": -1}, "algorithm.saei.n2: got -1"),
        ({"alpha": 2.5}, "algorithm.saei.alpha: got 2.5, expected a whole number"),
        ({"alpha": 256}, "algorithm.saei.alpha: got 256"),
        ({"alpha": 4, "epsilon": 3}, "algorithm.saei.epsilon: got 3, expected 0, or a whole number >= alpha"),
        ({"steps": 0}, "algorithm.saei.steps: got 0"),
        ({"band": "upper"}, "algorithm.saei.band: got 'upper', expected middle, top"),
        ({"band": [0.7, 0.2]}, r"algorithm.saei.band: got \[0.7, 0.2\]"),
        ({"band": [0.1]}, "algorithm.saei.band"),
        ({"band": 3}, "algorithm.saei.band: got 3"),
        ({"direction": "down"}, "algorithm.saei.direction: got 'down'"),
        ({"update": "both"}, "algorithm.saei.update: got 'both'"),
    ],
)
def test_bad_settings_are_refused_by_name(knobs, message):
    with pytest.raises(ValueError, match=message):
        SaEIConfig(**knobs)


def test_the_ball_is_no_constraint_by_default():
    assert SaEIConfig(alpha=2, steps=3).radius == 6
    assert SaEIConfig(alpha=2, steps=3, epsilon=4).radius == 4


def batch(**changes):
    values = {
        "advantages": torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.5, 0.0], [-0.5, -0.5], [0.0, 0.0]]),
        "response_mask": torch.tensor([[1, 1], [1, 1], [1, 0], [1, 1], [0, 0]]),  # the last fills the batch
        "old_log_probs": torch.full((5, 2), -1.0),
        "rewards": torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0]),
        "groups": torch.tensor([0, 0, 0, 1, 2]),
        "entropy": torch.tensor([[0.2, 0.4], [0.6, 0.8], [3.0, 9.0], [1.0, 2.0], [9.0, 9.0]]),
        "columns": {"adversarial": torch.tensor([False, False, True, True, False])},
    }
    return AdvantageBatch(**(values | changes))


def test_metrics_part_clean_and_adversarial_responses_and_the_advantages_stay():
    advantages, metrics = apply(batch(), SaEIConfig())
    assert torch.equal(advantages, batch().advantages)
    expected = {
        "saei/adversarial_responses": 0.5,
        "saei/entropy_clean": 0.5,
        "saei/entropy_adversarial": 2.0,
        "saei/reward_clean": 1.0,
        "saei/reward_adversarial": 0.25,
        "saei/mixed_groups_clean": 0.0,  # the one group that has clean responses got equal rewards for them
        "saei/mixed_groups_adversarial": 0.0,
    }
    assert metrics == pytest.approx(expected)


def test_the_mismatch_is_of_the_rollouts_own_log_probs():
    rollout = torch.tensor([[-1.0, -1.0], [-1.0, -1.0], [-2.0, 0.0], [-1.5, -0.5], [-9.0, -9.0]])
    _, metrics = apply(batch(rollout_log_probs=rollout), SaEIConfig())
    assert metrics["saei/log_prob_mismatch_clean"] == 0
    assert metrics["saei/log_prob_mismatch_adversarial"] == pytest.approx(2 / 3)
    assert metrics["saei/self_information_adversarial"] == pytest.approx(4 / 3)


def test_a_batch_that_does_not_tell_its_adversarial_responses_is_refused():
    with pytest.raises(ValueError, match=r"algorithm\.saei: got no adversarial.*\+method=saei"):
        apply(batch(columns={}), SaEIConfig())
