"""The controller of ECVGPO's r0: its law by hand, in closed loops that are known, and over a checkpoint."""

import json
import math
import random
from dataclasses import asdict
from statistics import fmean

import pytest
import torch

from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.ecvgpo.apply import apply, apply_adaptive
from verl_plugins.methods.ecvgpo.driver import ECVGPODriver
from verl_plugins.methods.ecvgpo.entropy_control import INTEGRAL_STEPS, NO_TERM, ControlState, control
from verl_plugins.methods.ecvgpo.maths import ECVGPOConfig
from verl_plugins.methods.knobs import config_from_node


def adaptive(**knobs):
    knobs = knobs if "target_slope" in knobs else {"target_entropy": 0.3} | knobs
    return ECVGPOConfig(r0="adaptive", **knobs)


def run(config, plant, entropy, steps, state=None, noise=0.0, seed=0):
    """The entropies and the states of a closed loop; ``plant``: (entropy, u, step) -> next entropy."""
    draw, state, seen = random.Random(seed), state or ControlState(), []
    for step in range(steps):
        state = control(state, entropy + draw.gauss(0, noise), config)
        seen.append((entropy, state))
        entropy = max(plant(entropy, state.u, step), 0.0)
    return seen


# -- the law -----------------------------------------------------------------------------------------------------------


def test_the_law_by_hand():
    config = adaptive(gain=2.0)
    # e = 0.1: I = 2 * 0.1 / 100 = 0.002, u = 0.2 + 0.002
    first = control(ControlState(), 0.4, config)
    assert (first.error, first.integral, first.u) == pytest.approx((0.1, 0.002, 0.202))
    assert first.r0 == pytest.approx(1 / 0.202)
    # e = -0.05: I = 0.002 - 0.001, u = -0.1 + 0.001: too little entropy, r0 < 0 raises it
    second = control(first, 0.25, config)
    assert (second.error, second.integral, second.u) == pytest.approx((-0.05, 0.001, -0.099))
    assert second.r0 < 0


def test_the_limit_is_the_smallest_r0():
    states = [control(ControlState(), entropy, adaptive(gain=100.0, r0_min=4.0)) for entropy in (2.0, 0.0)]
    assert [(state.r0, state.saturated) for state in states] == [(4.0, True), (-4.0, True)]


def test_no_error_is_grpo_without_an_infinity():
    state = control(ControlState(), 0.3, adaptive())
    assert (state.u, state.r0) == (0.0, NO_TERM)
    assert all(math.isfinite(value) for value in state.metrics().values())
    advantages = torch.tensor([[1.0, 0.5]])
    term = advantages - torch.tensor([[1.0, 0.2]]) / NO_TERM
    torch.testing.assert_close(term, advantages, rtol=2e-6, atol=0)


def test_a_slope_starts_where_the_entropy_does_and_never_asks_for_less_than_none():
    config = adaptive(target_slope=-0.02)
    state, targets = ControlState(), []
    for entropy in (0.05, 0.3, 0.3, 0.3, 0.3):
        state = control(state, entropy, config)
        targets.append(state.target)
    assert targets == pytest.approx([0.05, 0.03, 0.01, 0.0, 0.0])


def test_an_entropy_that_is_no_number_moves_nothing():
    before = control(ControlState(), 0.4, adaptive())
    after = control(before, math.nan, adaptive())
    assert asdict(after) == asdict(before) | {"steps": 2}


# -- closed loops ------------------------------------------------------------------------------------------------------


def integrator(gain, drift):
    return lambda entropy, u, step: entropy + drift - gain * u


@pytest.mark.parametrize("gain", [0.004, 0.011, 0.05])
@pytest.mark.parametrize("drift", [-0.0015, 0.0, 0.0015])
@pytest.mark.parametrize("start", [0.2, 0.3, 0.45])
def test_the_entropy_comes_to_its_target_and_stays_whatever_grpo_does(gain, drift, start):
    seen = run(adaptive(), integrator(gain, drift), start, steps=1500)
    assert all(abs(entropy - 0.3) < 1e-3 for entropy, _ in seen[-500:])
    assert seen[-1][1].u == pytest.approx(drift / gain, abs=1e-3)  # what cancels the drift
    overshoot = max((0.3 - entropy) * math.copysign(1, start - 0.3) for entropy, _ in seen)
    assert overshoot < 0.15  # with the drift against it included


def test_without_it_the_entropy_runs_away():
    seen = run(adaptive(), lambda entropy, u, step: entropy - 0.0015, 0.3, steps=250)
    assert seen[-1][0] == 0.0


def test_noise_of_single_batches_is_borne():
    seen = run(adaptive(), integrator(0.008, -0.0015), 0.32, steps=2000, noise=0.02)
    tail = [entropy for entropy, _ in seen[500:]]
    assert fmean(tail) == pytest.approx(0.3, abs=0.003)
    assert max(abs(entropy - 0.3) for entropy in tail) < 0.03


def grows(g_times_k):
    """Tell whether a small error grows, with no limit in the way."""
    config = adaptive(gain=1.0, r0_min=1e-9)
    seen = [abs(entropy - 0.3) for entropy, _ in run(config, integrator(g_times_k, 0.0), 0.3001, steps=2000)]
    return max(seen[-100:]) > max(seen[:100])


def test_it_is_stable_up_to_the_bound_of_the_docstring():
    bound = 4 / (2 + 1 / INTEGRAL_STEPS)  # 1.990
    assert not any(grows(g_times_k) for g_times_k in (0.001, 0.1, 1.0, 0.99 * bound))
    assert grows(1.01 * bound)


def test_a_drift_that_is_too_strong_saturates_without_winding_up():
    # 0.003 a step against 0.004 * 0.5 = 0.002 at most; after 300 steps the drift ends
    def plant(entropy, u, step):
        return entropy + (-0.003 if step < 300 else 0.0) - 0.004 * u

    seen = run(adaptive(), plant, 0.4, steps=2000)
    lost = [state for _, state in seen[200:300]]
    assert all(state.saturated and state.r0 == -2.0 for state in lost)
    assert abs(seen[299][1].integral) <= 0.5
    after = [entropy for entropy, _ in seen[300:]]
    assert max(after) - 0.3 < 0.05  # an integral that had gone on for 200 steps would carry it far past
    assert abs(after[-1] - 0.3) < 1e-3


def test_a_resume_with_a_larger_r0_min_is_not_stuck_at_the_old_limit():
    state = ControlState(steps=9, origin=0.3, integral=-0.5)
    seen = run(adaptive(r0_min=4.0), integrator(0.02, 0.0), 0.3, steps=600, state=state)
    assert all(abs(after.integral) <= 0.25 for _, after in seen)
    assert seen[-1][0] == pytest.approx(0.3, abs=1e-3)


def test_the_effect_may_be_stronger_on_one_side():
    # the floor A / l0 limits u > 0, nothing limits u < 0
    def plant(entropy, u, step):
        return entropy - 0.001 - (0.011 * min(u, 0.15) if u > 0 else 0.004 * u)

    for start in (0.2, 0.5):
        assert run(adaptive(), plant, start, steps=1500)[-1][0] == pytest.approx(0.3, abs=1e-3)


def trained(config, first_logit, steps=400, quality=(1.0, 0.9), noise=0.1, rate=0.1):
    """Entropies of a softmax over 12 answers, nearly as good as each other, under GRPO: 32 groups of 8 a step.

    ``first_logit``: of the best answer; the others start at 0. ``noise``: of the rewards.
    """
    generator = torch.Generator().manual_seed(0)
    worth = torch.linspace(*quality, 12)
    logits, state, seen = torch.tensor([first_logit] + [0.0] * 11, requires_grad=True), ControlState(), []
    for _ in range(steps):
        log_p = logits.log_softmax(0)
        answers = torch.multinomial(log_p.exp().detach(), 256, replacement=True, generator=generator).view(32, 8)
        rewards = worth[answers] + noise * torch.randn(32, 8, generator=generator)
        spread = rewards.std(dim=1, keepdim=True) + 1e-6
        advantages = ((rewards - rewards.mean(dim=1, keepdim=True)) / spread).view(-1, 1)
        entropy = -(log_p.exp() * log_p).sum().detach()
        batch = AdvantageBatch(
            advantages=advantages,
            response_mask=torch.ones(256, 1),
            old_log_probs=log_p.detach()[answers].view(-1, 1),
            rewards=rewards.view(-1),
            groups=torch.arange(32).repeat_interleave(8),
            entropy=entropy.expand(256, 1),
        )
        if config and config.is_adaptive:
            advantages, _, state = apply_adaptive(batch, config, state)
        elif config:
            advantages, _ = apply(batch, config)
        (gradient,) = torch.autograd.grad(-(advantages.view(-1) * log_p[answers.view(-1)]).mean(), logits)
        with torch.no_grad():
            logits -= rate * gradient
        seen.append(entropy.item())
    return seen


def test_a_policy_under_policy_gradients_is_held_where_grpo_lets_it_collapse():
    grpo, held = trained(None, 3.5), trained(adaptive(target_slope=0.0, delta=9.0), 3.5)
    assert grpo[0] == held[0] == pytest.approx(1.16, abs=0.01)
    assert grpo[-1] < 0.4
    assert max(abs(entropy - held[0]) for entropy in held) < 0.1
    assert fmean(held[-100:]) == pytest.approx(held[0], abs=0.01)


def test_a_policy_under_policy_gradients_comes_to_a_lower_target_and_stays_there():
    held = trained(adaptive(target_entropy=0.6, delta=9.0), 3.5)
    assert fmean(held[-100:]) == pytest.approx(0.6, abs=0.02)


def test_the_limit_of_the_idea_a_uniform_policy_answers_the_other_way_round():
    """If all tokens are equally improbable, S / r0 is one number for all good samples: it scales their credit."""
    uniform = {"first_logit": 0.0, "noise": 0.0, "rate": 0.05, "steps": 250}
    lowers, grpo, raises = (trained(c, **uniform)[-1] for c in (fixed(2.0), None, fixed(-2.0)))
    assert raises < grpo < lowers
    lowers, grpo, raises = (trained(c, 3.5)[-1] for c in (fixed(2.0), None, fixed(-2.0)))
    assert lowers < grpo < raises


def fixed(r0):
    return ECVGPOConfig(r0=r0, delta=9.0)


# -- checkpoint --------------------------------------------------------------------------------------------------------


def batch_of(entropy):
    advantages = torch.tensor([[0.8], [-0.8]])
    return AdvantageBatch(
        advantages=advantages,
        response_mask=torch.ones(2, 1),
        old_log_probs=torch.full((2, 1), -0.5),
        rewards=torch.tensor([1.0, 0.9]),
        groups=torch.zeros(2, dtype=torch.int64),
        entropy=torch.full((2, 1), entropy),
    )


@pytest.mark.parametrize("knobs", [{}, {"target_slope": 0.001}], ids=["target", "slope"])
def test_a_resumed_controller_goes_on_bit_for_bit(knobs):
    config = adaptive(**knobs)
    entropies = [0.4 - 0.013 * step + 0.05 * math.sin(step) for step in range(20)]
    whole, first, second = (ECVGPODriver({}, config, apply) for _ in range(3))

    def metrics_of(driver, entropy):
        driver.begin_step()
        return driver.apply(batch_of(entropy))[1]

    expected = [metrics_of(whole, entropy) for entropy in entropies]
    got = [metrics_of(first, entropy) for entropy in entropies[:7]]
    second.load(json.loads(json.dumps(first.state())))
    got += [metrics_of(second, entropy) for entropy in entropies[7:]]
    assert got == expected
    assert second.state() == whole.state()


def test_the_controller_takes_one_step_however_many_batches_a_step_of_the_run_has():
    driver = ECVGPODriver({}, adaptive(target_slope=0.001), apply)
    for step in range(3):
        driver.begin_step()
        advantages, metrics = driver.apply(batch_of(0.35))
        held, same = driver.apply(batch_of(0.5))  # of the same old policy
        assert driver.state()["steps"] == step + 1
        assert torch.equal(held, advantages)
        of_the_controller = ("ecvgpo/r0", "ecvgpo/r0_integral", "ecvgpo/target_entropy", "ecvgpo/entropy_error")
        assert [same[name] for name in of_the_controller] == [metrics[name] for name in of_the_controller]


def test_the_advantages_are_those_of_the_r0_that_is_logged():
    advantages, metrics, state = apply_adaptive(batch_of(0.4), adaptive(delta=1.0), ControlState())
    # u = 5 * 0.1 * (1 + 1/100) = 0.505, cut off at 0.5; 0.8 - 0.5 * 0.5 = 0.55
    assert (metrics["ecvgpo/r0"], metrics["ecvgpo/r0_saturated"]) == (2.0, 1.0)
    torch.testing.assert_close(advantages, torch.tensor([[0.55], [-0.8]]))
    expected, _ = apply(batch_of(0.4), ECVGPOConfig(r0=2.0, delta=1.0))
    assert torch.equal(advantages, expected)
    assert metrics["ecvgpo/entropy_error"] == pytest.approx(0.1) and metrics["ecvgpo/target_entropy"] == 0.3
    assert state.steps == 1


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"r0": "adaptive"}, "got none with r0=adaptive, expected one of target_entropy or target_slope; set"),
        (
            {"r0": "adaptive", "target_entropy": 0.3, "target_slope": 0.0},
            "got target_entropy and target_slope with r0=adaptive, expected one of",
        ),
        ({"target_entropy": 0.3}, "got target_entropy with r0=10.0, expected none, or algorithm.ecvgpo.r0=adaptive"),
        ({"r0": "adaptive", "target_entropy": "low"}, "target_entropy: got 'low', expected nats a token"),
        ({"r0": "adaptive", "target_entropy": -0.1}, "target_entropy: got -0.1"),
        ({"r0": "adaptive", "target_slope": math.inf}, "target_slope: got inf"),
        ({"gain": 0}, "algorithm.ecvgpo.gain: got 0, expected a number > 0"),
        ({"r0_min": -2}, "algorithm.ecvgpo.r0_min: got -2, expected a number > 0"),
        ({"r0": "adaptiv"}, "algorithm.ecvgpo.r0: got 'adaptiv', expected a number other than 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(node, message):
    with pytest.raises(ValueError) as refused:
        config_from_node(ECVGPOConfig, node, "algorithm.ecvgpo")
    assert message in str(refused.value)


def test_a_trainer_that_remembers_nothing_is_refused():
    with pytest.raises(ValueError, match="got adaptive, which needs a trainer that keeps state"):
        apply(batch_of(0.3), adaptive())


def test_a_batch_without_entropy_is_refused():
    from dataclasses import replace

    with pytest.raises(ValueError, match="got no entropy"):
        apply_adaptive(replace(batch_of(0.3), entropy=None), adaptive(), ControlState())


def test_hydra_composes_it():
    from verl_plugins.compose import compose_run

    node = compose_run(["+method=ecvgpo", "algorithm.ecvgpo.r0=adaptive", "algorithm.ecvgpo.target_slope=0"])
    config = config_from_node(ECVGPOConfig, node.algorithm.ecvgpo, "algorithm.ecvgpo")
    assert config.is_adaptive and config.target_slope == 0
