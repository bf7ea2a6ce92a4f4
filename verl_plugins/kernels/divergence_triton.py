"""The divergences of ``divergence.py`` as one Triton kernel. Imported on CUDA only.

One program handles one token. It reads the logits twice and writes nothing but the five results.

Logits are read in loads of 128 bits if the vocabulary, and thus the distance between two rows, is a multiple of 16.
Qwen's is. InternVL3's 151,674 is not and needs 16-bit loads: according to the compiled code, an H100 then issues 132
instructions per element instead of 120, 1.04 clocks of an SM instead of 0.94, while memory needs 0.55 to read both bf16
logits twice. Starting every row at the 16-byte boundary before it would make the loads wide, but the masks for it cost
as many instructions.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 2048


def divergence_triton(logits: Tensor, perturbed_logits: Tensor, scale: Tensor, floor: float) -> Tensor:
    """Launch the kernel on the logits of N tokens.

    Args:
        logits, perturbed_logits: (N, V) floating point; the last dimension is contiguous.
        scale: (N,) float32, multiplies the logits.
        floor: logits are clamped to this much below the largest.

    Returns:
        (5, N) float32: jsd, kl, entropy, perturbed_entropy, log_z.
    """
    tokens, vocabulary = logits.shape
    logits, perturbed_logits = (x if x.stride(1) == 1 else x.contiguous() for x in (logits, perturbed_logits))
    out = torch.empty(5, tokens, dtype=torch.float32, device=logits.device)
    if tokens:
        block = min(BLOCK, triton.next_power_of_2(vocabulary))
        _kernel[(tokens,)](
            logits,
            perturbed_logits,
            scale.contiguous(),
            out,
            tokens,
            vocabulary,
            logits.stride(0),
            perturbed_logits.stride(0),
            FLOOR=floor,
            BLOCK=block,
            num_warps=8,  # pyright: ignore[reportCallIssue]  an argument of triton's launcher, not of the function
        )
    return out


@triton.jit
def _kernel(
    l_ptr, q_ptr, scale_ptr, out_ptr, tokens, vocabulary, l_stride, q_stride, FLOOR: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    scale = tl.load(scale_ptr + row)
    l_row = l_ptr + row * l_stride
    q_row = q_ptr + row * q_stride
    lanes = tl.arange(0, BLOCK)

    # 1. maxima and normalisers, lane by lane
    l_top = tl.full((BLOCK,), -1e30, tl.float32)
    q_top = tl.full((BLOCK,), -1e30, tl.float32)
    l_sum = tl.zeros((BLOCK,), tl.float32)
    q_sum = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        inside = start + lanes < vocabulary
        x = tl.load(l_row + start + lanes, mask=inside, other=float("-inf")).to(tl.float32) * scale
        y = tl.load(q_row + start + lanes, mask=inside, other=float("-inf")).to(tl.float32) * scale
        l_new = tl.maximum(l_top, x)
        q_new = tl.maximum(q_top, y)
        l_sum = l_sum * tl.exp(l_top - l_new) + tl.exp(x - l_new)
        q_sum = q_sum * tl.exp(q_top - q_new) + tl.exp(y - q_new)
        l_top = l_new
        q_top = q_new
    top = tl.max(l_top, axis=0)
    perturbed_top = tl.max(q_top, axis=0)
    log_z = tl.log(tl.sum(l_sum * tl.exp(l_top - top), axis=0))
    perturbed_log_z = tl.log(tl.sum(q_sum * tl.exp(q_top - perturbed_top), axis=0))

    # 2. the divergences
    jsd = tl.zeros((BLOCK,), tl.float32)
    kl = tl.zeros((BLOCK,), tl.float32)
    entropy = tl.zeros((BLOCK,), tl.float32)
    perturbed_entropy = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        inside = start + lanes < vocabulary
        x = tl.load(l_row + start + lanes, mask=inside, other=float("-inf")).to(tl.float32) * scale
        y = tl.load(q_row + start + lanes, mask=inside, other=float("-inf")).to(tl.float32) * scale
        log_p = tl.maximum(x - top, FLOOR) - log_z
        log_q = tl.maximum(y - perturbed_top, FLOOR) - perturbed_log_z
        p = tl.where(inside, tl.exp(log_p), 0.0)
        q = tl.where(inside, tl.exp(log_q), 0.0)
        d = log_p - log_q
        twice_m = tl.where(inside, p + q, 1.0)
        r = p / twice_m
        s = q / twice_m
        u = tl.where(inside, 4.0 * r * s, 1.0)
        x_ = r - s
        phi = tl.log(u) + x_ * d + ((1.0 - u) - x_ * x_)
        jsd += tl.where(inside, 0.25 * twice_m * phi, 0.0)
        kl += tl.where(inside, p * d - (p - q), 0.0)
        entropy -= p * log_p
        perturbed_entropy -= q * log_q
    tl.store(out_ptr + row, tl.sum(jsd, axis=0))
    tl.store(out_ptr + tokens + row, tl.sum(kl, axis=0))
    tl.store(out_ptr + 2 * tokens + row, tl.sum(entropy, axis=0))
    tl.store(out_ptr + 3 * tokens + row, tl.sum(perturbed_entropy, axis=0))
    tl.store(out_ptr + 4 * tokens + row, log_z + top)
