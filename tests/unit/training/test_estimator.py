"""The estimators in verl's registry, against verl's own GRPO."""

import numpy as np
import pytest
import torch
import verl  # noqa: F401  loads the plugin
from omegaconf import OmegaConf
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, get_adv_estimator_fn

from verl_plugins.register import register

UIDS = np.array(["b", "a", "b", "a", "b", "lonely", "same", "same"], dtype=object)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(8, 6, generator=generator) > 0.2).long()
    mask[:, 0] = 1
    rewards = torch.zeros(8, 6)
    rewards[:, 0] = torch.rand(8, generator=generator)
    rewards[6:, 0] = 0.1
    return rewards, mask, -torch.rand(8, 6, generator=generator) * 8


def estimate(config, **extra):
    rewards, mask, log_probs = batch()
    kwargs = {"token_level_rewards": rewards, "response_mask": mask, "index": UIDS, "config": OmegaConf.create(config)}
    return get_adv_estimator_fn("ecvgpo")(**kwargs, **({"old_log_probs": log_probs} | extra))


@pytest.mark.parametrize("by_std", [True, False])
def test_delta_zero_is_verls_grpo_bit_for_bit(by_std):
    rewards, mask, _ = batch()
    expected, returns = compute_grpo_outcome_advantage(rewards, mask, UIDS, norm_adv_by_std_in_grpo=by_std)
    config = {"norm_adv_by_std_in_grpo": by_std, "ecvgpo": {"delta": 0.0}}
    advantages, actual_returns = estimate(config)
    assert torch.equal(advantages, expected)
    assert torch.equal(actual_returns, returns)


def test_an_open_gate_changes_only_good_responses():
    rewards, mask, log_probs = batch()
    grpo, _ = compute_grpo_outcome_advantage(rewards, mask, UIDS)
    advantages, _ = estimate({"ecvgpo": {"delta": 9.0, "r0": -50.0}})
    good = (grpo > 0) & torch.tensor(UIDS != "lonely").unsqueeze(1) & torch.tensor(UIDS != "same").unsqueeze(1)
    assert good.any()
    assert torch.equal(advantages[~good], grpo[~good])
    torch.testing.assert_close(advantages[good], grpo[good] - log_probs[good] / 50)  # A + S / 50


def test_vepo_is_an_estimator_too():
    rewards, mask, log_probs = batch()
    grpo, _ = compute_grpo_outcome_advantage(rewards, mask, UIDS)
    generator = torch.Generator().manual_seed(1)
    entropy, jsd, perturbed_entropy = torch.rand(3, 8, 6, generator=generator)
    kwargs = {"token_level_rewards": rewards, "response_mask": mask, "index": UIDS, "old_log_probs": log_probs}
    signals = {"entropy": entropy, "jsd": jsd, "perturbed_entropy": perturbed_entropy}
    advantages, _ = get_adv_estimator_fn("vepo")(
        **kwargs, **signals, config=OmegaConf.create({"vepo": {"fraction": 0.4}})
    )
    changed = advantages != grpo
    weight = mask.sum() / (0.4 * mask.sum(dim=1)).ceil().sum()
    torch.testing.assert_close(advantages[advantages != 0], (grpo * weight)[advantages != 0])
    assert changed.any() and ((advantages != 0).sum(dim=1) <= (0.4 * mask.sum(dim=1)).ceil()).all()
    with pytest.raises(ValueError, match="algorithm.vepo: got no jsd, perturbed_entropy"):
        get_adv_estimator_fn("vepo")(**kwargs, entropy=entropy, config=OmegaConf.create({"vepo": {}}))


def test_vepos_weights_are_those_of_the_loss_that_the_estimator_is_told():
    rewards, mask, log_probs = batch()
    grpo, _ = compute_grpo_outcome_advantage(rewards, mask, UIDS)
    kwargs = {"token_level_rewards": rewards, "response_mask": mask, "index": UIDS, "old_log_probs": log_probs}
    kwargs |= {"entropy": torch.rand(8, 6), "config": OmegaConf.create({"vepo": {"fraction": 0.4, "score": "entropy"}})}
    estimator = get_adv_estimator_fn("vepo")
    advantages, _ = estimator(**kwargs, loss_agg_mode="seq-mean-token-sum")
    kept = advantages != 0
    assert torch.equal(advantages[kept], grpo[kept])  # a sum over the kept tokens needs no other weight than 1
    mean, _ = estimator(**kwargs)
    assert torch.equal(mean, estimator(**kwargs, loss_agg_mode="token-mean")[0]) and not torch.equal(mean, advantages)
    with pytest.raises(ValueError, match="loss_agg_mode: got token-median, expected one of token-mean"):
        estimator(**kwargs, loss_agg_mode="token-median")


def test_vppo_is_an_estimator_too():
    rewards, mask, log_probs = batch()
    grpo, _ = compute_grpo_outcome_advantage(rewards, mask, UIDS)
    kl = torch.rand(8, 6, generator=torch.Generator().manual_seed(1))
    kwargs = {"token_level_rewards": rewards, "response_mask": mask, "index": UIDS, "old_log_probs": log_probs}
    config = OmegaConf.create({"vppo": {"fraction": 0.4, "weight_min": 1.0}})
    advantages, _ = get_adv_estimator_fn("vppo")(**kwargs, kl=kl, config=config)
    kept = advantages != 0
    assert torch.equal(advantages[kept], grpo[kept])
    numbers = (0.4 * mask.sum(dim=1)).ceil() * (grpo != 0).any(dim=1)
    assert torch.equal(kept.sum(dim=1), numbers.long()) and kept.any()
    with pytest.raises(ValueError, match="algorithm.vppo: got no kl"):
        get_adv_estimator_fn("vppo")(**kwargs, config=config)


def test_saei_is_grpo_to_an_estimator_that_is_told_which_responses_are_adversarial():
    rewards, mask, log_probs = batch()
    grpo, _ = compute_grpo_outcome_advantage(rewards, mask, UIDS)
    kwargs = {"token_level_rewards": rewards, "response_mask": mask, "index": UIDS, "old_log_probs": log_probs}
    kwargs |= {"config": OmegaConf.create({"saei": {}}), "entropy": torch.rand(8, 6)}
    advantages, _ = get_adv_estimator_fn("saei")(**kwargs, adversarial=torch.arange(8) % 2 == 0)
    assert torch.equal(advantages, grpo)
    with pytest.raises(ValueError, match=r"algorithm.saei: got no adversarial.*\+method=saei"):
        get_adv_estimator_fn("saei")(**kwargs)


def test_without_old_log_probs_the_message_says_what_to_do():
    with pytest.raises(ValueError, match=r"algorithm.adv_estimator=ecvgpo: got no old_log_probs.*\+method=ecvgpo"):
        estimate({"ecvgpo": {}}, old_log_probs=None)


def test_verls_own_call_reaches_that_message():
    from verl.protocol import DataProto
    from verl.trainer.ppo.ray_trainer import compute_advantage

    rewards, mask, _ = batch()
    data = DataProto.from_dict({"token_level_rewards": rewards, "response_mask": mask}, {"uid": UIDS})
    with pytest.raises(ValueError, match="got no old_log_probs"):
        compute_advantage(data, adv_estimator="ecvgpo", config=OmegaConf.create({}))


def test_registering_again_changes_nothing():
    before = get_adv_estimator_fn("ecvgpo")
    register()
    assert get_adv_estimator_fn("ecvgpo") is before
