"""The divergences against float64 log-softmax, in torch and in the Triton kernel (run by Triton's interpreter)."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import torch

from verl_plugins.kernels.divergence import FLOOR, Divergence, divergence

FIELDS = ("jsd", "kl", "entropy", "perturbed_entropy", "log_z")


def exact(logits, perturbed, temperature=1.0):
    """Divergence in float64, from its definition."""
    heat = torch.as_tensor(temperature, dtype=torch.float64).reshape(-1, 1)
    lp, lq = ((x.double() / heat).log_softmax(dim=-1) for x in (logits, perturbed))
    p, q = lp.exp(), lq.exp()
    lm = torch.logaddexp(lp, lq) - math.log(2)

    def mean(weight, value):
        return torch.where(weight > 0, weight * value, 0.0).sum(dim=-1)

    jsd = 0.5 * mean(p, lp - lm) + 0.5 * mean(q, lq - lm)
    log_z = (logits.double() / heat).logsumexp(dim=-1)
    return Divergence(jsd, mean(p, lp - lq), -mean(p, lp), -mean(q, lq), log_z)


def pairs(tokens=6, vocabulary=50_021, noise=0.3, dtype=torch.bfloat16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(tokens, vocabulary, generator=generator)).to(dtype)
    perturbed = (logits.float() + noise * torch.randn(tokens, vocabulary, generator=generator)).to(dtype)
    return logits, perturbed


@pytest.mark.parametrize("noise", [10.0, 1.0, 0.1, 0.01, 0.001])
def test_relative_error_on_bf16_logits_is_below_1e_4(noise):
    logits, perturbed = pairs(noise=noise)
    found, expected = divergence(logits, perturbed), exact(logits, perturbed)
    for name in ("jsd", "entropy", "perturbed_entropy", "log_z"):
        got, wanted = getattr(found, name).double(), getattr(expected, name)
        assert ((got - wanted).abs() / wanted.abs()).max() < 1e-4, name
    torch.testing.assert_close(found.kl.double(), expected.kl, rtol=1e-4, atol=1e-6)


def test_the_usual_formula_with_an_epsilon_would_not_pass():
    logits, perturbed = pairs(noise=0.01)
    lp, lq = (x.float().log_softmax(-1) for x in (logits, perturbed))
    log_m = ((lp.exp() + lq.exp()) / 2 + 1e-10).log()
    usual = 0.5 * (lp.exp() * (lp - log_m)).sum(-1) + 0.5 * (lq.exp() * (lq - log_m)).sum(-1)
    wanted = exact(logits, perturbed).jsd
    assert ((usual - wanted).abs() / wanted).max() > 1e-2


def test_equal_distributions_and_disjoint_ones():
    logits, _ = pairs(tokens=2)
    same = divergence(logits, logits)
    assert same.jsd.tolist() == [0.0, 0.0]
    assert same.entropy.tolist() == same.perturbed_entropy.tolist()
    far = torch.full((1, 8), -math.inf)
    left, right = far.clone(), far.clone()
    left[0, 0], right[0, 1] = 5.0, -3.0
    found = divergence(left, right)
    torch.testing.assert_close(found.jsd, torch.tensor([math.log(2)]))
    assert found.entropy.item() == pytest.approx(0.0, abs=1e-6)
    assert all(torch.isfinite(field).all() for field in found)


def test_forbidden_tokens_take_no_part():
    logits, perturbed = pairs(vocabulary=300, dtype=torch.float32)
    keep = torch.rand(300, generator=torch.Generator().manual_seed(1)) > 0.5
    banned = [x.masked_fill(~keep, -math.inf) for x in (logits, perturbed)]
    kept = [x[:, keep] for x in (logits, perturbed)]
    for got, expected in zip(divergence(*banned), divergence(*kept), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_temperature_of_each_token():
    logits, perturbed = pairs(vocabulary=1000)
    heat = torch.tensor([1.0, 0.5, 2.0, 1.3, 0.9, 1.0])
    found, expected = divergence(logits, perturbed, heat), exact(logits, perturbed, heat)
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-6)
    uniform = divergence(logits, perturbed, 0.7)
    torch.testing.assert_close(uniform.jsd.double(), exact(logits, perturbed, 0.7).jsd, rtol=1e-4, atol=1e-9)


def test_chunks_do_not_change_the_numbers(monkeypatch):
    logits, perturbed = pairs(vocabulary=1000)
    whole = divergence(logits, perturbed)
    monkeypatch.setattr(sys.modules["verl_plugins.kernels.divergence"], "CHUNK", 2500)  # two rows at a time
    for got, expected in zip(divergence(logits, perturbed), whole, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7)


def test_no_tokens_and_wrong_shapes():
    assert [field.shape for field in divergence(torch.empty(0, 9), torch.empty(0, 9))] == [(0,)] * 5
    with pytest.raises(ValueError, match=r"got shapes \(\(2, 9\), \(2, 8\)\)"):
        divergence(torch.zeros(2, 9), torch.zeros(2, 8))


def test_the_triton_kernel_gives_the_same_numbers():
    pytest.importorskip("triton")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_divergence import check_triton; check_triton(); print('same')"
    )
    here = os.path.dirname(os.path.abspath(__file__))
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", code, here], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "same", done.stderr[-2000:]


def check_triton():
    from verl_plugins.kernels.divergence_triton import divergence_triton

    for noise, vocabulary in ((3.0, 5000), (0.01, 9001), (1.0, 37)):
        logits, perturbed = pairs(tokens=3, vocabulary=vocabulary, noise=noise)
        logits[1, ::3] = -math.inf
        perturbed[1, ::3] = -math.inf
        heat = torch.tensor([1.0, 0.7, 1.6])
        found = Divergence(*divergence_triton(logits, perturbed, 1 / heat, FLOOR))
        expected = divergence(logits, perturbed, heat)
        for name in FIELDS:
            torch.testing.assert_close(
                getattr(found, name), getattr(expected, name), rtol=1e-4, atol=2e-6, msg=lambda m, n=name: f"{n}: {m}"
            )
        torch.testing.assert_close(found.jsd.double(), exact(logits, perturbed, heat).jsd, rtol=1e-4, atol=1e-12)
