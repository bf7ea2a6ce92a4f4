"""Device-independent random numbers: known answers, and statistical properties that noise needs."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from verl_plugins.seeds import seed_of
from verl_plugins.vision.noise import bits, normal, uniform, uniform_rows


def test_the_bits_are_splitmix64s():
    # first five outputs of SplitMix64 from seed 1234567, as published for other implementations
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [number % 2**64 for number in bits(1234567, 5, "cpu").tolist()] == published


def test_a_longer_draw_begins_with_a_shorter_one_and_another_seed_gives_another():
    assert torch.equal(bits(5, 1000, "cpu")[:10], bits(5, 10, "cpu"))
    assert not torch.equal(bits(6, 10, "cpu"), bits(5, 10, "cpu"))
    assert normal(5, (3, 5), "cpu").shape == (3, 5)  # an odd count
    assert uniform(5, (0, 7), "cpu").shape == (0, 7)


def test_rows_are_the_draws_of_their_seeds():
    seeds = [0, 5, 2**63 - 1, seed_of(1, "row")]
    rows = uniform_rows(torch.tensor(seeds), 7)
    assert rows.tolist() == [uniform(seed, (7,), "cpu").tolist() for seed in seeds]
    assert torch.equal(uniform_rows(torch.tensor(seeds), 3), rows[:, :3])


@pytest.mark.parametrize(("draw", "law"), [(uniform, stats.uniform), (normal, stats.norm)])
def test_the_numbers_follow_their_law(draw, law):
    numbers = torch.cat([draw(seed_of(0, step, "row", 0), (50_000,), "cpu") for step in range(4)]).double()
    assert stats.kstest(numbers.numpy(), law.cdf).pvalue > 0.001
    # no correlation between neighbours, nor between the two halves filled by Box-Muller pairs; 1 / sqrt(n) is 0.0022
    centred = (numbers - numbers.mean()) / numbers.std()
    for lag in (1, 2, 25_000):
        assert abs((centred[lag:] * centred[:-lag]).mean()) < 5 / math.sqrt(len(numbers)), lag


def test_the_ends_are_finite():
    assert normal(0, (1_000_001,), "cpu").isfinite().all()
    numbers = uniform(0, (1_000_000,), "cpu")
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    assert numbers.min() < 1e-5 and numbers.max() > 1 - 1e-5
