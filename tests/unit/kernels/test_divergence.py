"""The divergences against float64 log-softmax, in torch and in the Triton kernel (run by Triton's interpreter)."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading

import divergence_cases
import pytest
import torch
from divergence_cases import CASES, exact, pairs

from verl_plugins.kernels import divergence as module
from verl_plugins.kernels.divergence import Divergence, divergence

# Relative and absolute error of each field. In torch, KL has the error of log(Z / Z'), one number for the whole
# vocabulary; the kernel removes it by subtracting P - Q from each term.
BOUNDS = {
    "jsd": (2e-5, 0.0),
    "kl": (1e-6, 5e-7),
    "entropy": (2e-6, 2e-7),
    "perturbed_entropy": (2e-6, 2e-7),
    "log_z": (2e-7, 5e-7),
}
KERNEL_BOUNDS = {**BOUNDS, "kl": (1e-6, 1.5e-7)}


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory):
    """Results of the Triton kernel by case, from another process: Triton reads TRITON_INTERPRET when it is imported."""
    pytest.importorskip("triton")
    path = tmp_path_factory.mktemp("interpreted") / "results.pt"
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, divergence_cases.__file__, path]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-2000:]
    return torch.load(path)


def assert_exact(result, logits, perturbed, temperature, bounds=BOUNDS):
    expected = exact(logits, perturbed, temperature)
    for name, (relative, absolute) in bounds.items():
        torch.testing.assert_close(
            getattr(result, name).double(),
            getattr(expected, name),
            rtol=relative,
            atol=absolute,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize("case", CASES)
def test_torch_at_the_edges(case):
    logits, perturbed, temperature = CASES[case]()
    temperature = torch.tensor(temperature) if isinstance(temperature, list) else temperature
    assert_exact(divergence(logits, perturbed, temperature), logits, perturbed, temperature)


@pytest.mark.parametrize("case", CASES)
def test_the_triton_kernel_at_the_edges(interpreted, case):
    assert_exact(Divergence(*interpreted[case]), *CASES[case](), bounds=KERNEL_BOUNDS)


@pytest.mark.parametrize("noise", [10.0, 1.0, 0.1, 0.01, 0.001])
def test_bf16_logits_at_every_distance(noise):
    logits, perturbed = pairs(noise=noise)
    assert_exact(divergence(logits, perturbed), logits, perturbed, 1.0)


def test_the_usual_formula_with_an_epsilon_would_not_pass():
    logits, perturbed = pairs(noise=0.01)
    lp, lq = (x.float().log_softmax(-1) for x in (logits, perturbed))
    log_m = ((lp.exp() + lq.exp()) / 2 + 1e-10).log()
    usual = 0.5 * (lp.exp() * (lp - log_m)).sum(-1) + 0.5 * (lq.exp() * (lq - log_m)).sum(-1)
    expected = exact(logits, perturbed).jsd
    assert ((usual - expected).abs() / expected).max() > 1e-2


def test_equal_distributions_and_disjoint_ones():
    logits, _ = pairs(tokens=2)
    same = divergence(logits, logits)
    assert same.jsd.tolist() == [0.0, 0.0]
    assert same.entropy.tolist() == same.perturbed_entropy.tolist()
    left, right = torch.full((2, 1, 8), -math.inf)
    left[0, 0], right[0, 1] = 5.0, -3.0
    disjoint = divergence(left, right)
    torch.testing.assert_close(disjoint.jsd, torch.tensor([math.log(2)]))
    assert disjoint.entropy.item() == pytest.approx(0.0, abs=1e-6)
    assert all(torch.isfinite(field).all() for field in disjoint)


def test_two_tokens_by_hand():
    # P = (3/4, 1/4), Q = (1/4, 3/4), M = (1/2, 1/2)
    result = divergence(torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 3.0]]).log())
    assert result.kl.item() == pytest.approx(0.5 * math.log(3))  # 3/4 log 3 + 1/4 log 1/3
    assert result.jsd.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))  # KL(P || M) = KL(Q || M)
    assert result.entropy.item() == pytest.approx(math.log(4) - 0.75 * math.log(3))
    assert result.log_z.item() == pytest.approx(math.log(4))  # of 3 + 1


def test_forbidden_tokens_take_no_part():
    logits, perturbed = pairs(vocabulary=300, dtype=torch.float32)
    keep = torch.rand(300, generator=torch.Generator().manual_seed(1)) > 0.5
    banned = [x.masked_fill(~keep, -math.inf) for x in (logits, perturbed)]
    kept = [x[:, keep] for x in (logits, perturbed)]
    for value, expected in zip(divergence(*banned), divergence(*kept), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def test_chunks_do_not_change_the_numbers(monkeypatch):
    logits, perturbed = pairs(vocabulary=1000)
    whole = divergence(logits, perturbed)
    monkeypatch.setattr(module, "CHUNK", 4500)  # four rows at a time, then two
    for value, expected in zip(divergence(logits, perturbed), whole, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-7)


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_each_thread_works_alone_on_rows_of_its_own(two_threads, monkeypatch):
    logits, perturbed = (x.requires_grad_() for x in pairs(tokens=8, vocabulary=100, dtype=torch.float32))
    both_at_work = threading.Barrier(2, timeout=60)
    inside, chunk = [], module._chunk

    def watched(*arguments):
        both_at_work.wait()
        inside.append((torch.get_num_threads(), torch.is_grad_enabled()))
        chunk(*arguments)

    monkeypatch.setattr(module, "_chunk", watched)
    monkeypatch.setattr(module, "CHUNK", 200)  # four chunks
    divergence(logits, perturbed)
    assert inside == [(1, False)] * 4
    assert torch.get_num_threads() == 2


def test_an_error_in_a_thread_is_raised_and_leaves_the_number_of_threads(two_threads, monkeypatch):
    def out_of_memory(*arguments):
        raise MemoryError("no room for a chunk")

    monkeypatch.setattr(module, "_chunk", out_of_memory)
    with pytest.raises(MemoryError, match="no room for a chunk"):
        divergence(*pairs(tokens=2, vocabulary=10))
    assert torch.get_num_threads() == 2


def test_no_tokens_and_wrong_shapes():
    assert [field.shape for field in divergence(torch.empty(0, 9), torch.empty(0, 9))] == [(0,)] * 5
    with pytest.raises(ValueError, match=r"got shapes \(\(2, 9\), \(2, 8\)\)"):
        divergence(torch.zeros(2, 9), torch.zeros(2, 8))
