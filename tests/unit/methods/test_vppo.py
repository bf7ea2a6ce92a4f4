"""VPPO's selection, weights and batch function, against numbers worked out by hand and an independent rewrite."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.health.health_config import health_from_node
from verl_plugins.health.watch import Watch
from verl_plugins.methods import METHODS
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.knobs import config_from_node
from verl_plugins.methods.vppo.apply import apply
from verl_plugins.methods.vppo.maths import VPPOConfig, select_tokens, trajectory_weights
from verl_plugins.vision.perturb import Perturbation

# Three responses of three tokens. Means of the KL: 0.1, 0.4, 0.2; scaled to [0, 1]: 0, 1, 1/3, whose mean is 4/9
KL = torch.tensor([[0.2, 0.0, 0.1], [0.1, 0.4, 0.7], [0.3, 0.3, 0.0]])
MASK = torch.ones(3, 3)


def make_batch(kl, mask=None, advantages=None):
    mask = torch.ones_like(kl) if mask is None else mask
    return AdvantageBatch(
        advantages=mask.clone() if advantages is None else advantages,
        response_mask=mask,
        old_log_probs=torch.zeros_like(kl),
        rewards=torch.zeros(len(kl)),
        groups=torch.zeros(len(kl), dtype=torch.long),
        columns={"kl": kl},
    )


def test_the_tokens_of_a_response_by_hand():
    # ceil(0.4 x 3) = 2 tokens; of the two equal ones of the third response, both are kept
    expected = [[True, False, True], [False, True, True], [True, True, False]]
    assert select_tokens(KL, MASK, VPPOConfig(fraction=0.4)).tolist() == expected
    # one token each; of equal ones the earlier
    expected = [[True, False, False], [False, False, True], [True, False, False]]
    assert select_tokens(KL, MASK, VPPOConfig(fraction=1 / 3)).tolist() == expected


def test_weights_with_a_given_maximum_by_hand():
    weights = trajectory_weights(KL, MASK, VPPOConfig(weight_min=0.9, weight_max=1.2))
    assert weights.tolist() == pytest.approx([0.9, 1.2, 0.9 + 0.3 / 3])


def test_weights_whose_mean_is_one_by_hand():
    # weight_max = 0.9 + 0.1 / (4/9) = 1.125; the third gets 0.9 + 0.225 / 3 = 0.975; (0.9 + 1.125 + 0.975) / 3 = 1
    weights = trajectory_weights(KL, MASK, VPPOConfig(weight_min=0.9))
    assert weights.tolist() == pytest.approx([0.9, 1.125, 0.975])


def test_advantages_and_metrics_by_hand():
    advantages = torch.tensor([[2.0], [-1.0], [1.0]]).expand(3, 3)
    result, metrics = apply(make_batch(KL, advantages=advantages), VPPOConfig())
    expected = [[1.8, 0, 1.8], [0, -1.125, -1.125], [0.975, 0.975, 0]]
    torch.testing.assert_close(result, torch.tensor(expected))
    expected = {
        "kl": 2.1 / 9,
        "kl_kept": (0.2 + 0.1 + 0.4 + 0.7 + 0.3 + 0.3) / 6,
        "kl_dropped": (0.0 + 0.1 + 0.0) / 3,
        "selected_tokens": 6 / 9,
        "trajectory_weight/mean": 1.0,
        "trajectory_weight/min": 0.9,
        "trajectory_weight/max": 1.125,
        "rows_without_image": 0.0,
    }
    assert metrics == pytest.approx({f"vppo/{name}": value for name, value in expected.items()}, abs=1e-6)


def random_batch(seed, rows=7, length=9):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([9, 1, 4, 0, 7, 5, 6])  # one padding row
    mask = (torch.arange(length) < lengths.unsqueeze(1)).long()
    kl = torch.rand(rows, length, generator=generator) ** 4
    kl[5] = 0.0  # no image
    kl[mask == 0] = math.nan  # outside the mask any value may stand
    advantages = torch.randn(rows, 1, generator=generator) * mask
    return replace(make_batch(kl, mask, advantages), groups=torch.tensor([0, 0, 0, 1, 1, 1, 2]))


def rewritten(batch, fraction, weight_min, weight_max):
    """The equations of the paper in plain Python, one response at a time."""
    kl, mask, advantages = (x.tolist() for x in (batch.columns["kl"], batch.response_mask, batch.advantages))
    lists = [[value for value, valid in zip(*row, strict=True) if valid] for row in zip(kl, mask, strict=True)]
    means = {row: math.fsum(values) / len(values) for row, values in enumerate(lists) if any(values)}
    low, high = min(means.values()), max(means.values())
    scaled = {row: (mean - low) / (high - low) for row, mean in means.items()}
    if weight_max is None:
        weight_max = weight_min + (1 - weight_min) * len(scaled) / math.fsum(scaled.values())
    result = []
    for row, values in enumerate(lists):
        weight, kept = 1.0, set(range(len(values)))
        if row in means:
            weight = weight_min + (weight_max - weight_min) * scaled[row]
            order = sorted(range(len(values)), key=lambda t: (-values[t], t))
            kept = set(order[: math.ceil(fraction * len(values))])
        result.append([advantages[row][t] * weight * (t in kept) for t in range(len(mask[row]))])
    return torch.tensor(result)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "knobs", [(0.4, 0.9, None), (0.4, 0.8, 1.2), (1.0, 0.9, None), (0.25, 1.0, None), (0.6, 0.0, 1.0)]
)
def test_an_independent_rewrite_agrees(seed, knobs):
    batch = random_batch(seed)
    advantages, metrics = apply(batch, VPPOConfig(*knobs))
    torch.testing.assert_close(advantages, rewritten(batch, *knobs))
    assert metrics["vppo/kl_kept"] > metrics.get("vppo/kl_dropped", 0)
    if knobs[2] is None:
        assert metrics["vppo/trajectory_weight/mean"] == pytest.approx(1.0)


def test_neutral_knobs_are_grpo_bit_for_bit_without_a_second_forward():
    batch = random_batch(0)
    for weight_max in (None, 1, 1.0):
        neutral = VPPOConfig(fraction=1.0, weight_min=1.0, weight_max=weight_max)
        assert neutral.is_grpo
        advantages, metrics = apply(replace(batch, columns={}), neutral)
        assert torch.equal(advantages, batch.advantages) and metrics == {}
        # the formulas themselves, of which this is a shortcut
        kept, weights = (compute(batch.columns["kl"], batch.response_mask, neutral) for compute in FORMULAS)
        assert torch.equal(batch.advantages * (kept * weights.unsqueeze(1)), batch.advantages)
    for changed in ({"fraction": 0.99}, {"weight_min": 0.99}, {"weight_max": 1.01}):
        assert not VPPOConfig(**{"fraction": 1.0, "weight_min": 1.0} | changed).is_grpo


FORMULAS = (select_tokens, trajectory_weights)


def test_verls_loss_is_averaged_over_all_tokens():
    from verl.trainer.ppo.core_algos import agg_loss

    batch = random_batch(1)
    advantages, _ = apply(batch, VPPOConfig())
    mask = batch.response_mask
    shaped = rewritten(batch, 0.4, 0.9, None)
    assert agg_loss(-advantages, mask, "token-mean").item() == pytest.approx(-shaped.sum().item() / mask.sum().item())


def test_rows_without_an_image_are_trained_as_in_grpo_and_do_not_count():
    text = torch.zeros(1, 3)
    advantages, metrics = apply(make_batch(torch.cat([KL, text])), VPPOConfig())
    alone, _ = apply(make_batch(KL), VPPOConfig())
    assert torch.equal(advantages[:3], alone)
    assert advantages[3].tolist() == [1.0, 1.0, 1.0]
    assert metrics["vppo/rows_without_image"] == 0.25
    assert metrics["vppo/selected_tokens"] == (6 + 3) / 12
    assert metrics["vppo/kl"] == pytest.approx(2.1 / 9)
    advantages, metrics = apply(make_batch(text), VPPOConfig())
    assert advantages.tolist() == [[1.0, 1.0, 1.0]]
    assert metrics == {"vppo/selected_tokens": 1.0, "vppo/rows_without_image": 1.0, "vppo/kl": 0.0}


def test_a_perturbation_that_changes_nothing_raises_its_alarm():
    _, metrics = apply(make_batch(torch.zeros(2, 3)), VPPOConfig())
    watch = Watch(health_from_node({"window": 1}))
    assert watch.look(1, metrics, 2) == {"health/selection_degenerate": 1.0}


def test_padding_rows_change_nothing():
    padded = make_batch(torch.cat([KL, torch.full((1, 3), 9.0)]), torch.cat([MASK, torch.zeros(1, 3)]))
    advantages, metrics = apply(padded, VPPOConfig())
    alone, metrics_alone = apply(make_batch(KL), VPPOConfig())
    assert torch.equal(advantages[:3], alone) and advantages[3].tolist() == [0.0, 0.0, 0.0]
    assert metrics == metrics_alone
    _, metrics = apply(make_batch(KL, torch.zeros(3, 3)), VPPOConfig())
    assert metrics == {}


@pytest.mark.parametrize("weight_max", [None, 1.2])
def test_responses_that_depend_on_the_image_equally_have_weight_one(weight_max):
    config = VPPOConfig(weight_max=weight_max)
    equal = torch.tensor([[0.3, 0.1], [0.2, 0.2], [0.0, 0.4]])
    assert trajectory_weights(equal, torch.ones(3, 2), config).tolist() == [1.0, 1.0, 1.0]
    assert trajectory_weights(equal[:1], torch.ones(1, 2), config).tolist() == [1.0]
    # means 0.2, 0.2 and 0.2 + 5e-7 are noise, but 0.2 + 5e-6 is not
    noise = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1e-6]])
    assert trajectory_weights(equal + noise, torch.ones(3, 2), config).tolist() == [1.0, 1.0, 1.0]
    weights = trajectory_weights(equal + 10 * noise, torch.ones(3, 2), config)
    assert weights[0] == pytest.approx(0.9, abs=1e-2) and weights[2] > 1.1


def test_one_outlier_takes_the_dynamic_maximum_far_up_and_a_given_one_bounds_it():
    kl = torch.full((100, 1), 0.1)
    kl[0], kl[1] = 0.0999, 5.0
    # scaled: 0, 1 and 98 times 0.0001 / 4.9001, so 1 + 0.1 / mean(scaled) is about 0.9 + 0.1 x 100 / 1.002
    weights = trajectory_weights(kl, torch.ones(100, 1), VPPOConfig())
    assert weights.max().item() == pytest.approx(0.9 + 10 / 1.002, rel=1e-3)
    assert trajectory_weights(kl, torch.ones(100, 1), VPPOConfig(weight_max=1.1)).max() == pytest.approx(1.1)


def test_the_order_of_rows_does_not_matter():
    batch, order = random_batch(2), torch.tensor([4, 0, 5, 6, 3, 2, 1])
    fields = ("advantages", "response_mask", "old_log_probs", "rewards", "groups")
    shuffled = AdvantageBatch(
        **{name: getattr(batch, name)[order] for name in fields}, columns={"kl": batch.columns["kl"][order]}
    )
    torch.testing.assert_close(apply(batch, VPPOConfig())[0][order], apply(shuffled, VPPOConfig())[0])


def test_a_missing_divergence_is_named():
    with pytest.raises(ValueError, match=r"algorithm.vppo: got no kl.*\+method=vppo"):
        apply(replace(make_batch(KL), columns={}), VPPOConfig())


RUN = OmegaConf.create({"actor_rollout_ref": {"rollout": {"seed": 7}}, "trainer": {"test_freq": -1}})


def test_the_driver_asks_for_the_perturbed_image_of_the_step():
    driver, metrics = METHODS["vppo"].build_driver(RUN, VPPOConfig(schedule="sigmoid")), {}
    driver.perturbation = Perturbation("patch", 0.5, "sigmoid")  # as setup sets it
    # halfway from step 1 to 3 the sigmoid is at 1/2
    assert driver.log_prob_request(2, 3, metrics) == Counterfactual("patch", 0.25, seed=7, step=2)
    assert metrics == {"vppo/strength": 0.25}


def test_neutral_knobs_ask_for_nothing():
    driver = METHODS["vppo"].build_driver(RUN, VPPOConfig(fraction=1.0, weight_min=1.0))
    driver.setup(None)  # no image is perturbed, so any processor will do
    assert driver.columns == () and driver.log_prob_request(1, 3, {}) is None


def test_a_processor_of_an_unknown_layout_is_refused_unless_the_knobs_are_neutral():
    driver = METHODS["vppo"].build_driver(RUN, VPPOConfig())
    with pytest.raises(ValueError, match="image processor"):
        driver.setup(object())


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"fraction": 0}, r"algorithm.vppo.fraction: got 0, expected a number in \(0, 1\]"),
        ({"fraction": 1.01}, "algorithm.vppo.fraction: got 1.01"),
        ({"weight_min": -0.1}, r"algorithm.vppo.weight_min: got -0.1, expected a number in \[0, 1\]"),
        ({"weight_min": 1.1}, "algorithm.vppo.weight_min: got 1.1"),
        ({"weight_max": 0.9}, "algorithm.vppo.weight_max: got 0.9, expected a number >= 1, or null"),
        ({"weight_max": "dynamic"}, "algorithm.vppo.weight_max: got 'dynamic'.*; set algorithm.vppo.weight_max"),
        ({"weight_max": True}, "algorithm.vppo.weight_max: got True"),
        ({"perturbation": "fog"}, "algorithm.vppo.perturbation: got 'fog'.*set algorithm.vppo.perturbation"),
        ({"perturbation": "zero"}, "algorithm.vppo.strength: got 0.5, expected nothing else than 1"),
        ({"strength": 1.5}, r"algorithm.vppo.strength: got 1.5, expected a probability in \(0, 1\]"),
        ({"schedule": "linear"}, "algorithm.vppo.schedule: got 'linear', expected constant or sigmoid"),
        ({"beta_min": 0.9}, "algorithm.vppo.beta_min: unknown setting, expected one of fraction, weight_min"),
    ],
)
def test_bad_settings_are_named(node, message):
    with pytest.raises(ValueError, match=message):
        config_from_node(VPPOConfig, node, "algorithm.vppo")
