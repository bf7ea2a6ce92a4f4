"""VEPO's scores, weights and batch function, against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from vepo_batches import of_the_selected, permuted, random_batch

from verl_plugins.health.health_config import health_from_node
from verl_plugins.health.watch import Watch
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.knobs import config_from_node
from verl_plugins.methods.token_selection import top_tokens
from verl_plugins.methods.vepo.apply import apply, select
from verl_plugins.methods.vepo.maths import LOSS_AGG_MODES, VEPOConfig, token_scores, token_weights

# one response of three tokens; scaled to [0, 1]: j = 0, .5, 1   h = 0, 1, .5   gap = .5, -1, 0 -> |gap| = .5, 1, 0
JSD = torch.tensor([[0.1, 0.2, 0.3]])
ENTROPY = torch.tensor([[1.0, 3.0, 2.0]])
PERTURBED = torch.tensor([[1.4, 2.2, 2.0]])
KL = torch.tensor([[0.6, 0.2, 0.4]])  # scaled: 1, 0, .5
MASK = torch.ones(1, 3)


def score(name, alpha=0.5, **kwargs):
    config = VEPOConfig(score=name, alpha=alpha)
    return token_scores(JSD, ENTROPY, PERTURBED, kwargs.pop("mask", MASK), config, **kwargs)


# by hand, with up = max(gap, 0) scaled = 1, 0, 0 and alpha = 1/2
BY_HAND = {
    "A": [1 - 1 * 1 * 0, 1 - 0.5 * 0 * 1, 1 - 0 * 0.5 * 1],
    "B": [(1 - 1 * 1) * 1, (1 - 0.5 * 0) * 0, (1 - 0 * 0.5) * 0],
    "C": [(1 - 1 * 0) * 0, (1 - math.sqrt(0.5) * 1) * 1, (1 - 0 * 1) * 0.5],
    "D": [(1 - math.sqrt(0.5)) * 0, (1 - math.sqrt(0.5) * 0) * 1, (1 - 0) * 0.5],
    "E": [1 - math.sqrt(0.5), 1.0, 1.0],
    "F": [0.25 * 0, 0.75 * 1, 0.5 * 0.5],
    "G": [0.0, 0.5 * 1 * 1, 1 * 0 * 0.5],
    "entropy": [0.0, 1.0, 0.5],
    "jsd": [0.0, 0.5, 1.0],
    "gap": [0.5, 1.0, 0.0],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_by_hand(name):
    torch.testing.assert_close(score(name), torch.tensor([BY_HAND[name]]), rtol=1e-5, atol=1e-6)


def test_score_h_is_d_with_the_kl():
    expected = [(1 - 0 * math.sqrt(0.5)) * 0, (1 - 1 * 0) * 1, (1 - math.sqrt(0.5) * 1) * 0.5]
    torch.testing.assert_close(score("H", kl=KL), torch.tensor([expected]), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="algorithm.vepo.score=H: got no kl"):
        score("H")


def test_alpha_weighs_the_divergence():
    torch.testing.assert_close(score("F", alpha=1.0), torch.tensor([[0.0, 0.5, 0.5]]))
    torch.testing.assert_close(score("F", alpha=0.0), torch.tensor([[0.0, 1.0, 0.0]]), rtol=1e-5, atol=1e-6)
    # the first token has j = 0 and |gap| = 1/2: 1 - (1 - 0)^0.7 (1 - 1/2)^0.3
    torch.testing.assert_close(score("E", alpha=0.7), torch.tensor([[1 - 0.5**0.3, 1.0, 1.0]]))


def test_jsd_and_gap_alone_are_the_ends_of_score_e():
    torch.testing.assert_close(score("E", alpha=1.0), score("jsd"))
    torch.testing.assert_close(score("E", alpha=0.0), score("gap"))


def test_scaling_is_per_response_and_ignores_what_is_masked():
    jsd = torch.cat([JSD, 100 * JSD])
    pad = torch.tensor([[math.nan], [math.inf]])
    columns = [torch.cat([x, pad], dim=1) for x in (jsd, ENTROPY.repeat(2, 1), PERTURBED.repeat(2, 1))]
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
    scores = token_scores(*columns, mask, VEPOConfig(alpha=0.5))
    torch.testing.assert_close(scores[0], scores[1])
    torch.testing.assert_close(scores[:1, :3], score("D"))
    assert scores[:, 3].tolist() == [0.0, 0.0]


def test_constant_signals_score_zero():
    flat = torch.full((2, 4), 0.7)
    assert token_scores(flat, flat, flat, torch.ones(2, 4), VEPOConfig()).tolist() == [[0.0] * 4] * 2


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="expected one"):
        token_scores(JSD, ENTROPY, PERTURBED[:, :2], MASK, VEPOConfig())


@pytest.mark.parametrize(("fraction", "kept"), [(0.2, 1), (0.21, 2), (0.4, 2), (0.6, 3), (1.0, 5), (1e-6, 1)])
def test_a_fraction_is_rounded_up(fraction, kept):
    weights = token_weights(torch.arange(5.0).view(1, 5), torch.ones(1, 5), VEPOConfig(fraction=fraction))
    assert (weights > 0).sum() == kept
    assert weights[0, 4] == pytest.approx(5 / kept)


def test_seven_percent_of_a_hundred_tokens_are_seven_in_spite_of_floating_point():
    assert math.ceil(0.07 * 100) == 8
    weights = token_weights(torch.rand(1, 100), torch.ones(1, 100), VEPOConfig(fraction=0.07))
    assert (weights > 0).sum() == 7


def test_ties_keep_the_earlier_token_and_short_or_empty_rows_survive():
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    weights = token_weights(torch.zeros(3, 5), mask, VEPOConfig(fraction=0.4))
    assert (weights > 0).tolist() == [[True, True, False, False, False], [False, True] + [False] * 3, [False] * 5]
    assert weights[weights > 0].tolist() == [2.0, 2.0, 2.0]  # 6 valid / 3 selected, over the whole batch
    assert token_weights(torch.zeros(2, 5), torch.zeros(2, 5), VEPOConfig()).tolist() == [[0.0] * 5] * 2


def test_bottom_takes_the_lowest():
    weights = token_weights(
        torch.tensor([[3.0, 1.0, 2.0, 9.0]]), torch.tensor([[1, 1, 1, 0]]), VEPOConfig(select="bottom")
    )
    assert (weights > 0).tolist() == [[False, True, False, False]]


def test_soft_weights_drop_nothing():
    scores, mask = torch.tensor([[0.0, 0.5, 1.0, 0.0]]), torch.tensor([[1, 1, 1, 0]])
    assert token_weights(scores, mask, VEPOConfig(soft=0.4)).tolist() == [pytest.approx([1.0, 1.2, 1.4, 0.0])]


@pytest.mark.parametrize("score", ["entropy", "D"])
def test_signals_in_bf16_are_selected_by_in_float32(score):
    """verl returns the entropy in bf16 in mixed precision; quantiles and ranges in bf16 would tie many tokens."""

    def rounded(dtype):
        batch = random_batch()
        columns = {name: values.bfloat16().to(dtype) for name, values in batch.columns.items()}
        return replace(batch, entropy=batch.entropy.bfloat16().to(dtype), columns=columns)

    config = VEPOConfig(score=score, fraction=0.5)
    selected, expected = (select(rounded(dtype), config) for dtype in (torch.bfloat16, torch.float32))
    assert selected[1].dtype == torch.float32
    assert all(torch.equal(selected[i], expected[i]) for i in (0, 1)) and selected[2] == expected[2]


def test_a_fraction_of_one_is_grpo_bit_for_bit():
    batch = random_batch()
    advantages, _ = apply(batch, VEPOConfig(fraction=1.0))
    assert torch.equal(advantages, batch.advantages)
    for loss_agg_mode in LOSS_AGG_MODES:
        weights = token_weights(torch.rand(6, 9), batch.response_mask, VEPOConfig(fraction=1.0), loss_agg_mode)
        assert torch.equal(batch.advantages * weights, batch.advantages)


@pytest.mark.parametrize("loss_agg_mode", LOSS_AGG_MODES)
@pytest.mark.parametrize("name", [*BY_HAND, "H"])
def test_verls_loss_has_the_gradient_of_its_aggregation_over_the_selected_tokens(name, loss_agg_mode):
    from verl.trainer.ppo.core_algos import agg_loss

    batch, config = replace(random_batch(), loss_agg_mode=loss_agg_mode), VEPOConfig(score=name)
    advantages, _ = apply(batch, config)
    log_probs = batch.old_log_probs.double().requires_grad_()
    ratio = (log_probs - batch.old_log_probs).exp()
    mask = batch.response_mask.double()
    loss = agg_loss(-advantages * ratio, mask, loss_agg_mode)
    (gradient,) = torch.autograd.grad(loss, log_probs)
    ratio = (log_probs - batch.old_log_probs).exp()
    jsd, kl, perturbed_entropy = (batch.columns[name] for name in ("jsd", "kl", "perturbed_entropy"))
    scores = token_scores(jsd, batch.entropy, perturbed_entropy, mask, config, kl)
    kept = top_tokens(scores, mask.bool(), config.fraction)
    assert torch.equal(advantages != 0, kept & (batch.advantages != 0))
    direct = of_the_selected(-batch.advantages * ratio, kept, loss_agg_mode)
    (expected,) = torch.autograd.grad(direct, log_probs)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)


def test_an_unknown_aggregation_is_one_clear_error():
    with pytest.raises(ValueError, match=r"loss_agg_mode: got prompt-mean, expected one of token-mean, .*; set actor_"):
        apply(replace(random_batch(), loss_agg_mode="prompt-mean"), VEPOConfig())


def test_selection_does_not_depend_on_how_rows_are_spread_over_ranks():
    batch = random_batch()
    order = torch.tensor([4, 0, 5, 3, 2, 1])
    advantages, metrics = apply(batch, VEPOConfig())
    reordered, permuted_metrics = apply(permuted(batch, order), VEPOConfig())
    assert torch.equal(advantages[order], reordered)
    assert metrics == pytest.approx(permuted_metrics)


def test_metrics_by_hand():
    batch = AdvantageBatch(
        advantages=torch.ones(2, 3),
        response_mask=torch.ones(2, 3),
        old_log_probs=torch.zeros(2, 3),
        rewards=torch.zeros(2),
        groups=torch.tensor([0, 0]),
        entropy=ENTROPY.repeat(2, 1),
        columns={
            "jsd": torch.cat([JSD, torch.zeros(1, 3)]),
            "perturbed_entropy": torch.cat([PERTURBED, ENTROPY]),
        },
    )
    advantages, metrics = apply(batch, VEPOConfig(alpha=0.5))
    # row 1 keeps its second token (score 1); row 2 has no image: entropy alone, its second token, too
    assert advantages.tolist() == [[0.0, 3.0, 0.0]] * 2
    expected = {
        "jsd": 0.2,
        "jsd_kept": 0.2,
        "jsd_dropped": 0.2,
        "policy_entropy": 2.0,
        "perturbed_entropy": 5.6 / 3,
        "entropy_gap": 0.4,
        "entropy_rise": -0.4 / 3,
        "entropy_kept": 3.0,
        "entropy_dropped": 1.5,
        "selected_tokens": 1 / 3,
        "score_kept": 1.0,
        "score_dropped": (0 + 0.5 + 0 + 0.5) / 4,
        "kept_missed_by_entropy": 0.0,
        "vision_kept": 0.0,  # the highest JSD is the third token's
        "vision_missed_by_entropy": 1.0,
        "rows_without_image": 0.5,
    }
    assert metrics == pytest.approx({f"vepo/{name}": value for name, value in expected.items()}, abs=1e-6)


def test_a_perturbation_that_changes_nothing_raises_its_alarm():
    batch = random_batch()
    blind = {"jsd": torch.zeros_like(batch.entropy), "perturbed_entropy": batch.entropy}
    _, metrics = apply(replace(batch, columns=blind), VEPOConfig())
    assert metrics["vepo/jsd"] == 0.0 and metrics["vepo/rows_without_image"] == 1.0
    watch = Watch(health_from_node({"window": 1}))
    assert watch.look(1, metrics, 2)["health/selection_degenerate"] == 1.0


def test_entropy_only_needs_no_counterfactual_and_a_missing_one_is_named():
    batch = random_batch()
    blind = replace(batch, columns={})
    assert not VEPOConfig(score="entropy").needs_counterfactual
    _, metrics = apply(blind, VEPOConfig(score="entropy"))
    assert "vepo/rows_without_image" not in metrics
    with pytest.raises(ValueError, match=r"algorithm.vepo: got no jsd, perturbed_entropy.*\+method=vepo"):
        apply(blind, VEPOConfig())


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"score": "Z"}, "algorithm.vepo.score: got 'Z', expected one of A, B"),
        ({"alpha": 1.5}, "algorithm.vepo.alpha: got 1.5, expected a number in"),
        ({"alpha": "half"}, "algorithm.vepo.alpha: got 'half'"),
        ({"fraction": 0}, "algorithm.vepo.fraction: got 0, expected a number in"),
        ({"fraction": 1.01}, "algorithm.vepo.fraction: got 1.01"),
        ({"select": "middle"}, "algorithm.vepo.select: got 'middle', expected 'top', 'bottom' or 'random'"),
        (
            {"scope": "group"},
            "algorithm.vepo.scope: got 'group', expected 'response' or 'batch'; set algorithm.vepo.scope",
        ),
        ({"soft": -1}, "algorithm.vepo.soft: got -1"),
        ({"soft": True}, "algorithm.vepo.soft: got True"),
        ({"soft": 0.5, "select": "bottom"}, "algorithm.vepo.soft: got 0.5, expected .* 0 with select=bottom .*; set"),
        ({"boost": -0.5}, "algorithm.vepo.boost: got -0.5, expected a number >= 0"),
        ({"boost": 0.5, "soft": 0.1}, "algorithm.vepo.boost: got 0.5, .* 0 with soft; set algorithm.vepo.boost"),
        (
            {"perturbation": "fog"},
            "algorithm.vepo.perturbation: got 'fog', expected one of gaussian.*set algorithm.vepo.perturbation",
        ),
        ({"perturbation": "patch", "strength": 2.0}, "algorithm.vepo.strength: got 2.0, expected a probability in"),
        ({"strength": 0}, r"algorithm.vepo.strength: got 0, expected .* in \(0, inf\] .* \(0 changes no image\)"),
        ({"strength": "strong"}, "algorithm.vepo.strength: got 'strong'"),
        ({"schedule": "linear"}, "algorithm.vepo.schedule: got 'linear', expected constant or sigmoid"),
        (
            {"schedule_midpoint": 40},
            "algorithm.vepo.schedule_midpoint: got 40, expected a share of .*; set algorithm.vepo.schedule_midpoint",
        ),
        ({"schedule_steepness": -1}, "algorithm.vepo.schedule_steepness: got -1, expected a number in"),
        ({"perturbation": "gaussian_pixels", "strength": -1}, "strength: got -1, expected .* in 8-bit levels in"),
        ({"sigma": 2}, "algorithm.vepo.sigma: unknown setting, expected one of score, alpha"),
    ],
)
def test_bad_settings_are_named(node, message):
    with pytest.raises(ValueError, match=message):
        config_from_node(VEPOConfig, node, "algorithm.vepo")
