"""KL-Cov and Clip-Cov: accepted where they select tokens by a response's advantage, refused elsewhere."""

import pytest
from checked_run import problems

LOSS = "actor_rollout_ref.actor.policy_loss.loss_mode"
ONE_UPDATE = ["data.train_batch_size=128", "actor_rollout_ref.actor.ppo_mini_batch_size=128"]


@pytest.mark.parametrize("loss", ["kl_cov", "clip_cov"])
@pytest.mark.parametrize("method", ["ecvgpo", "vepo"])
def test_a_method_that_weighs_tokens_is_refused(data, method, loss):
    (problem,) = problems([f"+method={method}", *data, f"{LOSS}={loss}"])
    assert problem.startswith(f"{LOSS}: got {loss}, expected another policy loss with {method} ({loss} selects tokens")
    assert problem.endswith(f"; set {LOSS}, or leave {method} out")


@pytest.mark.parametrize("loss", ["kl_cov", "clip_cov"])
def test_methods_that_leave_advantages_alone_are_accepted(data, loss):
    twelve = "actor_rollout_ref.rollout.n=12"
    assert problems(["+method=grpo", *data, f"{LOSS}={loss}"]) == []
    assert problems(["+method=saei", *data, twelve, f"{LOSS}={loss}"]) == []


@pytest.mark.parametrize("loss", ["vanilla", "gspo"])
def test_other_losses_are_not_checked(data, loss):
    assert problems(["+method=[ecvgpo,vepo]", *data, *ONE_UPDATE, f"{LOSS}={loss}"]) == []


def test_kl_cov_without_a_gradient_is_refused(data):
    (problem,) = problems(["+method=grpo", *data, *ONE_UPDATE, f"{LOSS}=kl_cov"])
    key = "actor_rollout_ref.actor.ppo_mini_batch_size"
    assert problem.startswith(f"{key}: got 128 of 128 prompts, one update a step, expected less with kl_cov")
    assert problem.endswith(f"; set {key}")


@pytest.mark.parametrize(
    "override",
    [
        "actor_rollout_ref.actor.ppo_mini_batch_size=64",
        "actor_rollout_ref.actor.ppo_epochs=2",
        f"{LOSS}=clip_cov",  # its selection does not need a second update
    ],
)
def test_kl_cov_with_a_second_update_is_accepted(data, override):
    assert problems(["+method=grpo", *data, *ONE_UPDATE, f"{LOSS}=kl_cov", override]) == []


def test_verls_kl_cov_has_no_gradient_at_the_old_policy():
    """The reason for the check: with p = p_old, KL-Cov's gradient is that of the plain policy gradient."""
    import torch
    from verl.trainer.ppo.core_algos import get_policy_loss_fn
    from verl.workers.config import FSDPActorConfig, PolicyLossConfig

    old = torch.log(torch.tensor([[0.9, 0.2, 0.5], [0.6, 0.8, 0.1]]))
    advantages = torch.tensor([[1.0] * 3, [-1.0] * 3])
    gradients = {}
    for shift in (0.0, 0.1):
        for coefficient in (0.0, 1.0):
            policy_loss = PolicyLossConfig(loss_mode="kl_cov", kl_cov_ratio=0.5, ppo_kl_coef=coefficient)
            config = FSDPActorConfig(
                strategy="fsdp2", rollout_n=2, ppo_micro_batch_size_per_gpu=1, policy_loss=policy_loss
            )
            log_probs = (old + shift).requires_grad_()
            loss, _ = get_policy_loss_fn("kl_cov")(old, log_probs, advantages, torch.ones(2, 3), config=config)
            (gradients[shift, coefficient],) = torch.autograd.grad(loss, log_probs)
    assert torch.equal(gradients[0.0, 0.0], gradients[0.0, 1.0])
    assert not torch.equal(gradients[0.1, 0.0], gradients[0.1, 1.0])
