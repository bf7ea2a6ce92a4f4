"""The Triton kernel of the divergences: its numbers, its offsets beyond 2^31 logits, its speed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gpu.line import Line, not_run
from verl_plugins.kernels.divergence import FLOOR, Divergence, divergence
from verl_plugins.kernels.divergence_triton import divergence_triton

QWEN, QWEN_7B, INTERNVL = 151_936, 152_064, 151_674  # vocabularies; InternVL's rows are not aligned to 16 bytes
# Of a difference to float64, as in tests/unit/test_divergence.py: relative, and beside it absolute, in nats.
RELATIVE = 1e-4
ABSOLUTE = {"jsd": 1e-12, "kl": 2e-6, "entropy": 2e-6, "perturbed_entropy": 2e-6, "log_z": 2e-6}
VEPO_CHUNK = 441  # tokens whose logits engine/hidden_states.py projects at once at QWEN
# Of a copy's bytes a second. By arithmetic about 0.4: logits are read twice, with about nine exponentials,
# logarithms and divisions to a pair. Below 0.2, registers have spilled, or a load is of one number.
LEAST_SHARE = 0.2
LIMIT = "< 1e-4 of the value, + 2e-6 nats but for the JSD"


def measure(device: str) -> Iterator[Line]:
    yield from numbers(device)
    if device == "cuda":
        yield from offsets_and_speed()
    else:
        yield not_run("offsets beyond 2^31 logits", "9 GiB of logits")
        yield not_run("speed beside a device copy's", "Triton's interpreter has none")


def numbers(device: str) -> Iterator[Line]:
    """The largest difference of each case to float64, as a share of the one that is allowed."""
    for name, (logits, perturbed) in cases().items():
        temperature = torch.linspace(0.7, 1.6, len(logits))
        expected = exact(logits, perturbed, temperature)
        on_device = (tensor.to(device) for tensor in (logits, perturbed, 1 / temperature))
        found = Divergence(*divergence_triton(*on_device, FLOOR).cpu().double())
        shares = {
            field: ((got - want).abs() / (RELATIVE * want.abs() + ABSOLUTE[field])).max().item()
            for field, got, want in zip(Divergence._fields, found, expected, strict=True)
            if want.isfinite().all()  # KL is infinite where P allows a token that Q forbids
        }
        is_finite = all(got.isfinite().all().item() for got in found)
        worst = max(shares, key=shares.__getitem__)
        figure = f"off by {shares[worst]:.1%} of the limit ({worst})" if is_finite else "not finite"
        raw = {f"share_{field}": share for field, share in shares.items()}
        yield Line(name, figure, LIMIT, is_finite and max(shares.values()) < 1, raw=raw)


def cases() -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs of logits (tokens, vocabulary): the recipes' vocabularies, and where approximate functions would show."""
    generator = torch.Generator().manual_seed(0)

    def pair(vocabulary: int, noise: float = 0.3, dtype: torch.dtype = torch.bfloat16) -> tuple[Tensor, Tensor]:
        logits = (3 * torch.randn(4, vocabulary, generator=generator)).to(dtype)
        return logits, (logits.float() + noise * torch.randn(logits.shape, generator=generator)).to(dtype)

    forbidden = pair(9001)
    for logits in forbidden:
        logits[:, ::3] = -math.inf
    flat = torch.zeros(2, 2, QWEN, dtype=torch.bfloat16)  # FLOOR makes 1e-40 of what is forbidden, below 2^-126
    flat[0, :, :1000] = flat[1, :, 500:1500] = -math.inf
    return {
        "Qwen2.5-VL-3B's vocabulary, bf16": pair(QWEN),
        "Qwen2.5-VL-7B's vocabulary, bf16": pair(QWEN_7B),
        "InternVL3's vocabulary, rows not aligned, bf16": pair(INTERNVL),
        "37 tokens, bf16": pair(37),
        "float32": pair(5001, dtype=torch.float32),
        "nearly equal distributions, float32": pair(5001, noise=0.01, dtype=torch.float32),
        "a third of the tokens forbidden": forbidden,
        "probabilities below 2^-126": (flat[0], flat[1]),
    }


def exact(logits: Tensor, perturbed: Tensor, temperature: Tensor) -> Divergence:
    """The divergences in float64, as they are defined."""
    log_p, log_q = ((x.double() / temperature.double()[:, None]).log_softmax(-1) for x in (logits, perturbed))
    p, q = log_p.exp(), log_q.exp()
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)

    def mean(weight: Tensor, value: Tensor) -> Tensor:
        return torch.where(weight > 0, weight * value, 0.0).sum(-1)

    jsd = (mean(p, log_p - log_m) + mean(q, log_q - log_m)) / 2
    log_z = (logits.double() / temperature.double()[:, None]).logsumexp(-1)
    return Divergence(jsd, mean(p, log_p - log_q), -mean(p, log_p), -mean(q, log_q), log_z)


def offsets_and_speed() -> Iterator[Line]:
    """On CUDA, with 9 GiB of logits."""
    rows = 2**31 // QWEN + 300
    logits = torch.randn(rows, QWEN, device="cuda", dtype=torch.bfloat16)
    perturbed = logits.flip(0)
    whole = divergence(logits, perturbed)
    alone = divergence(logits[-8:].clone(), perturbed[-8:].clone())
    is_same = all(torch.equal(a[-8:], b) for a, b in zip(whole, alone, strict=True))
    figure = "the last 8 rows " + ("as alone" if is_same else "differ from the same rows alone")
    yield Line(f"{rows:,} rows, {logits.numel() / 2**31:.3f} x 2^31 logits", figure, "the same bits", is_ok=is_same)
    for vocabulary in (QWEN, INTERNVL):
        for tokens in (VEPO_CHUNK, 4096):
            pair = (x.flatten()[: tokens * vocabulary].view(tokens, vocabulary) for x in (logits, perturbed))
            yield speed(*pair)


def speed(logits: Tensor, perturbed: Tensor) -> Line:
    """Bytes of both logits, once, a second, beside those that a copy of one of them reads and writes."""
    from triton.testing import do_bench

    scale = torch.ones(len(logits), device="cuda")
    target = torch.empty_like(logits)
    kernel_ms = do_bench(lambda: divergence_triton(logits, perturbed, scale, FLOOR))
    copy_ms = do_bench(lambda: target.copy_(logits))
    bytes_moved = 2 * logits.numel() * logits.element_size()
    kernel, copy = (bytes_moved / ms / 1e6 for ms in (kernel_ms, copy_ms))
    is_aligned = logits.shape[1] * logits.element_size() % 16 == 0
    return Line(
        f"{len(logits)} x {logits.shape[1]:,} logits, bf16",
        f"{kernel_ms:.3f} ms, {kernel:.0f} GB/s; a copy: {copy:.0f} GB/s",
        f">= {LEAST_SHARE:.0%} of the copy's" if is_aligned else "no limit: 16-bit loads",
        kernel >= LEAST_SHARE * copy if is_aligned else None,
        raw={"seconds": kernel_ms / 1e3, "bytes_per_second": kernel * 1e9, "copy_bytes_per_second": copy * 1e9},
    )
