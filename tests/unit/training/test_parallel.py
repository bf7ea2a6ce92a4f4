"""Two Ulysses ranks, and fused kernels, on FSDP2: VEPO's columns and SaEI's images are those of one plain rank."""

from __future__ import annotations

import gloo_engine_process
import pytest
import torch

from verl_plugins.methods.saei.second_sampling import PIXELS, STATISTICS

pytestmark = pytest.mark.slow  # runs in processes of its own

RANKS = ["ulysses_0", "ulysses_1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    gloo_engine_process.run("parallel_run.py", folder)
    return {f"{path.parent.name}/{path.stem}": torch.load(path) for path in folder.glob("*/*.pt")}


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def results(request, runs):
    return {name.partition("/")[2]: run for name, run in runs.items() if name.startswith(request.param)}


def test_fused_kernels_change_no_bit(runs):
    for name in ("vepo", "saei"):
        plain, fused = (runs[f"qwen2_5_vl/{case}_0"][name] for case in ("one_rank", "fused"))
        assert all(torch.equal(fused[column], plain[column]) for column in plain)


@pytest.mark.parametrize("rank", RANKS)
def test_each_ulysses_rank_returns_vepos_columns_whole(results, rank):
    plain, sliced = results["one_rank_0"]["vepo"], results[rank]["vepo"]
    assert plain["jsd"].max() > 0.01 and set(sliced) == set(plain)  # the image matters
    for name, values in plain.items():
        torch.testing.assert_close(sliced[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", RANKS)
def test_vepos_log_probabilities_are_verls_on_the_same_ranks(results, rank):
    ours, theirs = (results[rank][name]["log_probs"] for name in ("vepo", "verl"))
    of_responses = ours != 0  # verl computes every token's
    torch.testing.assert_close(ours[of_responses], theirs[of_responses], rtol=1e-5, atol=1e-5)


def test_all_ulysses_ranks_attack_the_images_as_one_rank_does(results):
    plain, first, second = (results[rank]["saei"] for rank in ("one_rank_0", *RANKS))
    assert torch.equal(first[PIXELS], second[PIXELS]) and torch.equal(first[STATISTICS], second[STATISTICS])
    assert (first[PIXELS] == plain[PIXELS]).float().mean() > 0.9999  # the rest: pixels whose gradient is rounding
    torch.testing.assert_close(first[STATISTICS], plain[STATISTICS], rtol=1e-5, atol=1e-5)
    before, after, change = plain[STATISTICS].unbind(dim=1)
    assert (after > before).all() and (change > 1.5).all()
