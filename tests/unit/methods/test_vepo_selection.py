"""VEPO's controls and weight modes: random tokens, the best of the whole batch, and boosted tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tensordict import NonTensorStack, TensorDict
from vepo_batches import of_the_selected, permuted, random_batch
from verl.trainer.ppo.core_algos import agg_loss

from verl_plugins.methods import METHODS
from verl_plugins.methods.vepo import driver as vepo_driver
from verl_plugins.methods.vepo.apply import apply, select
from verl_plugins.methods.vepo.maths import LOSS_AGG_MODES, VEPOConfig, token_scores, token_weights

SEEDS = torch.tensor([3, 2**62 + 1, 11, 0, 2**63 - 1, 6])
RANDOM = VEPOConfig(select="random", fraction=0.3)


def seeded(batch):
    return replace(batch, columns={"selection_seed": SEEDS})


def splitmix(seed, count):
    """Rewrite of the draws on Python's whole numbers: the upper 24 bits of each output."""
    draws = []
    for step in range(1, count + 1):
        state = (seed + step * 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        draws.append(((state ^ state >> 31) >> 40) / 2**24)
    return draws


def test_a_random_selection_is_the_same_share_of_each_response_by_its_seed_alone():
    batch = seeded(random_batch())
    weights, scores, _ = select(batch, RANDOM)
    for row, length in enumerate([9, 1, 4, 0, 7, 5]):
        draws = splitmix(int(SEEDS[row]), length)
        best = sorted(range(length), key=draws.__getitem__)[length - math.ceil(0.3 * length - 1e-9) :]
        assert (weights[row] > 0).nonzero().flatten().tolist() == sorted(best)
        assert scores[row].tolist() == draws + [0.0] * (9 - length)
    # 26 tokens, of which ceil(2.7) + 1 + ceil(1.2) + ceil(2.1) + ceil(1.5) = 11 are kept
    assert weights[weights > 0].tolist() == pytest.approx([26 / 11] * 11)


def test_a_random_selection_depends_on_nothing_that_differs_between_runs_or_devices():
    batch, order = seeded(random_batch()), torch.tensor([4, 0, 5, 3, 2, 1])
    weights, _, _ = select(batch, RANDOM)
    other = random_batch(seed=1)
    padded = replace(
        other,
        **{
            name: torch.nn.functional.pad(getattr(other, name), (0, 3))
            for name in ("advantages", "response_mask", "old_log_probs", "entropy")
        },
        columns={"selection_seed": SEEDS},
    )
    assert torch.equal(select(padded, RANDOM)[0][:, :9], weights)  # other signals, more padding
    assert torch.equal(select(permuted(batch, order), RANDOM)[0], weights[order])


def test_a_random_selection_keeps_each_place_equally_often():
    mask = torch.ones(20_000, 5)
    batch = replace(random_batch(), columns={"selection_seed": torch.arange(20_000) * 7919})
    batch = replace(batch, advantages=mask, response_mask=mask, old_log_probs=-mask, entropy=mask)
    weights, _, _ = select(batch, VEPOConfig(select="random", fraction=0.4))
    assert (weights > 0).double().mean(dim=0).tolist() == pytest.approx([0.4] * 5, abs=0.02)


def test_a_random_selection_reads_no_signal_and_its_metrics_claim_none():
    batch = seeded(random_batch())
    assert not RANDOM.needs_counterfactual and not METHODS["vepo"].needs_entropy(RANDOM)
    _, metrics = apply(replace(batch, entropy=None), RANDOM)
    assert metrics == {"vepo/selected_tokens": pytest.approx(11 / 26)}
    _, metrics = apply(batch, RANDOM)
    names = {"selected_tokens", "policy_entropy", "entropy_kept", "entropy_dropped", "kept_missed_by_entropy"}
    assert set(metrics) == {f"vepo/{name}" for name in names}
    with pytest.raises(ValueError, match=r"algorithm.vepo: got no selection_seed.*\+method=vepo"):
        apply(random_batch(), RANDOM)


def test_the_driver_seeds_by_run_step_row_and_response(monkeypatch):
    def seeds(keys, rows, step=3, seed=0, **knobs):
        run_config = SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=SimpleNamespace(seed=seed)))
        data = TensorDict({"index": NonTensorStack(*rows)}, batch_size=len(rows))
        monkeypatch.setattr(vepo_driver.tq, "kv_batch_get", lambda keys, partition, select_fields: data)
        driver = vepo_driver.VEPODriver(run_config, VEPOConfig(select="random", **knobs), apply)
        driver.log_prob_request(step, 10, {})
        return driver.row_columns(keys)["selection_seed"].tolist()

    keys = ["a_0_0", "a_1_0", "a_1_1", "b_0_0", "a~adversarial_0_0"]
    drawn = seeds(keys, [7, 7, 7, 8, 7])
    assert len(set(drawn)) == 5
    assert seeds(["x_1_0", "y_0_0"], [7, 8]) == [drawn[1], drawn[3]]  # a resumed run: other uids, another order
    assert seeds(keys, [7, 7, 7, 8, 7], step=4)[0] != drawn[0] != seeds(keys, [7, 7, 7, 8, 7], seed=1)[0]
    others = vepo_driver.VEPODriver(None, VEPOConfig(), apply)
    assert others.row_columns(keys) == {}


# all tokens of a batch ------------------------------------------------------------------------------------------------


BATCH = VEPOConfig(scope="batch", fraction=0.5)


@pytest.mark.parametrize(
    ("loss_agg_mode", "weight"),
    [
        ("token-mean", 6 / 3),
        ("seq-mean-token-mean", 3 / 3 * 2 / 1),  # all of the second response; it alone counts among two
        ("seq-mean-token-sum", 2 / 1),
        ("seq-mean-token-sum-norm", 2 / 1),
        ("token-sum", 1),
    ],
)
def test_the_best_of_the_batch_may_leave_a_response_out(loss_agg_mode, weight):
    scores = torch.tensor([[0.1, 0.2, 0.3, 9.0], [0.9, 0.4, 0.7, 9.0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
    assert token_weights(scores, mask, BATCH, loss_agg_mode).tolist() == [[0.0] * 4, [weight] * 3 + [0.0]]
    # and with parts of both responses: the two best of [.8 .1 .2] and [.3 .9 .7], rounded up from 0.3 * 6 = 1.8
    scores = torch.tensor([[0.8, 0.1, 0.2, 9.0], [0.3, 0.9, 0.7, 9.0]])
    kept = token_weights(scores, mask, VEPOConfig(scope="batch", fraction=0.3), loss_agg_mode) > 0
    assert kept.tolist() == [[True, False, False, False], [False, True, False, False]]


def test_the_80_20_rule_ranks_the_raw_entropy_of_all_tokens():
    batch = random_batch()
    config = VEPOConfig(scope="batch", score="entropy")
    weights, _, metrics = select(batch, config)
    tokens = [(float(batch.entropy[i, t]), i, t) for i in range(6) for t in range(9) if batch.response_mask[i, t]]
    best = {(i, t) for _, i, t in sorted(tokens)[-6:]}  # ceil(0.2 * 26)
    assert {tuple(place) for place in (weights > 0).nonzero().tolist()} == best
    empty = 5 - len({i for i, _ in best})
    assert empty > 0 and metrics["vepo/rows_without_selection"] == pytest.approx(empty / 5)
    assert metrics["vepo/kept_missed_by_entropy"] == 0 and metrics["vepo/selected_tokens"] == pytest.approx(6 / 26)


def test_signals_are_scaled_over_the_batch():
    jsd = torch.tensor([[0.0, 0.1], [0.3, 0.4]])  # scaled over all four: 0, 1/4, 3/4, 1
    scores = token_scores(jsd, jsd, jsd, torch.ones(2, 2), VEPOConfig(scope="batch", score="jsd"))
    torch.testing.assert_close(scores, torch.tensor([[0.0, 0.25], [0.75, 1.0]]))


def test_rows_without_an_image_are_ranked_by_their_entropy_in_the_batch():
    batch = random_batch()
    entropy = batch.entropy.clone()
    entropy[0, :9] = torch.linspace(2.0, 2.8, 9)  # the highest of the batch, and no image
    columns = {name: values.clone() for name, values in batch.columns.items()}
    columns["jsd"][0], columns["perturbed_entropy"][0] = 0.0, entropy[0]
    weights, scores, _ = select(replace(batch, entropy=entropy, columns=columns), VEPOConfig(scope="batch"))
    low = entropy[batch.response_mask.bool()].min()
    torch.testing.assert_close(scores[0], (entropy[0] - low) / (2.8 - low))
    assert (weights > 0).nonzero().tolist() == [[0, t] for t in range(3, 9)]


@pytest.mark.parametrize("loss_agg_mode", LOSS_AGG_MODES)
@pytest.mark.parametrize("config", [BATCH, VEPOConfig(scope="batch", score="entropy"), RANDOM])
def test_verls_loss_is_its_aggregation_over_the_selected_tokens(config, loss_agg_mode):
    batch = replace(random_batch(), loss_agg_mode=loss_agg_mode)
    batch = replace(batch, columns={**batch.columns, "selection_seed": SEEDS})
    weights, _, _ = select(batch, config)
    losses, mask = torch.rand(6, 9, dtype=torch.float64), batch.response_mask.double()
    loss = agg_loss(losses * weights, mask, loss_agg_mode)
    torch.testing.assert_close(loss, of_the_selected(losses, weights > 0, loss_agg_mode), rtol=1e-6, atol=0)


def test_a_batch_selection_does_not_depend_on_how_rows_are_spread_over_ranks():
    batch, order = random_batch(), torch.tensor([4, 0, 5, 3, 2, 1])
    weights, _, metrics = select(batch, BATCH)
    reordered, _, permuted_metrics = select(permuted(batch, order), BATCH)
    assert torch.equal(weights[order], reordered) and metrics == pytest.approx(permuted_metrics)


# weights that drop no token -------------------------------------------------------------------------------------------


def test_boosted_tokens_weigh_one_plus_lambda_and_the_others_one():
    scores, mask = torch.tensor([[0.0, 0.5, 1.0, 9.0]]), torch.tensor([[1, 1, 1, 0]])
    config = VEPOConfig(boost=0.4, fraction=0.3)  # ceil(0.9) = 1 token
    assert token_weights(scores, mask, config).tolist() == [pytest.approx([1.0, 1.0, 1.4, 0.0])]
    bottom = replace(config, select="bottom")
    assert token_weights(scores, mask, bottom).tolist() == [pytest.approx([1.4, 1.0, 1.0, 0.0])]


def test_metrics_of_a_boost_tell_the_boosted_from_the_others():
    batch = random_batch()
    selected, boosted = (apply(batch, VEPOConfig(boost=boost))[1] for boost in (0.0, 0.4))
    assert boosted == selected and boosted["vepo/selected_tokens"] < 0.5
    advantages, _ = apply(batch, VEPOConfig(boost=0.4, fraction=1.0))
    torch.testing.assert_close(advantages, 1.4 * batch.advantages)


@pytest.mark.parametrize("scope", ["response", "batch"])
@pytest.mark.parametrize("name", ["top", "bottom", "random"])
def test_a_fraction_of_one_is_grpo_bit_for_bit(scope, name):
    batch, config = random_batch(), VEPOConfig(fraction=1.0, scope=scope, select=name)
    assert apply(batch, config) == (batch.advantages, {}) and not config.needs_entropy
    for loss_agg_mode in LOSS_AGG_MODES:
        weights = token_weights(torch.rand(6, 9), batch.response_mask, config, loss_agg_mode)
        assert torch.equal(batch.advantages * weights, batch.advantages)
