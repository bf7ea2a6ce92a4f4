"""Stage: the Triton kernel of the divergences: its numbers, its offsets beyond 2^31 logits, its speed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from divergence_cases import CASES, exact
from torch import Tensor

from gpu.line import Line, not_run
from verl_plugins.kernels.divergence import FLOOR, Divergence, divergence
from verl_plugins.kernels.divergence_triton import divergence_triton

QWEN, INTERNVL = 151_936, 151_674  # vocabularies; InternVL's rows are not aligned to 16 bytes
# Bounds on the difference to float64. The unit tests have tighter ones: Triton's interpreter has exact functions.
RELATIVE = 1e-4
ABSOLUTE = {"jsd": 1e-12, "kl": 1e-6, "entropy": 1e-6, "perturbed_entropy": 1e-6, "log_z": 1e-6}  # nats
LIMIT = "< 1e-4 of the value, + 1e-6 nats but for the JSD"
VEPO_CHUNK = 441  # tokens that components/hidden_states.py projects to logits at once for QWEN
# Share of a copy's bytes per second. The compiled code predicts a third (kernels/divergence_triton.py). Below a fifth,
# registers have spilled, or loads are of single numbers.
LEAST_SHARE = 0.2


def measure(device: str) -> Iterator[Line]:
    yield from numbers(device)
    if device == "cuda":
        yield from offsets_and_speed()
    else:
        yield not_run("offsets beyond 2^31 logits", "9 GiB of logits")
        yield not_run("speed beside a device copy's", "Triton's interpreter has none")


def numbers(device: str) -> Iterator[Line]:
    """Yield the largest difference to float64 for each case of the unit tests, as a share of its limit."""
    for name, case in CASES.items():
        logits, perturbed, temperature = case()
        temperature = torch.as_tensor(temperature).expand(len(logits))
        expected = exact(logits, perturbed, temperature)
        pair = moved(logits, device), moved(perturbed, device)
        result = Divergence(*divergence_triton(*pair, (1 / temperature).to(device), FLOOR).cpu().double())
        shares = {
            field: ((value - exact_value).abs() / (RELATIVE * exact_value.abs() + ABSOLUTE[field])).max().item()
            for field, value, exact_value in zip(Divergence._fields, result, expected, strict=True)
        }
        is_finite = all(value.isfinite().all().item() for value in result)
        worst = max(shares, key=shares.__getitem__)
        figure = f"off by {shares[worst]:.1%} of the limit ({worst})" if is_finite else "not finite"
        raw = {f"share_{field}": share for field, share in shares.items()}
        yield Line(name, figure, LIMIT, is_finite and max(shares.values()) < 1, raw=raw)


def moved(tensor: Tensor, device: str) -> Tensor:
    """Move the tensor to ``device`` with its strides, which ``to`` alone would not keep."""
    base = tensor if tensor._base is None else tensor._base
    return base.to(device).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def offsets_and_speed() -> Iterator[Line]:
    """Yield the lines that need CUDA and 9 GiB of logits."""
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
    """Compare the rate of reading both logits once with the rate at which a copy of one reads and writes."""
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
