"""Divergence and entropies of two next-token distributions, in one pass over chunks that fit the cache.

With P = softmax(l), Q = softmax(l'), M = (P + Q) / 2 and D_v = log P_v - log Q_v, the Jensen-Shannon divergence is

    JSD = 1/2 KL(P || M) + 1/2 KL(Q || M) = 1/2 sum_v M_v phi(x_v),     x = (P - Q) / (P + Q) = tanh(D / 2)
    phi(x) = (1 + x) log(1 + x) + (1 - x) log(1 - x) = x D + log(1 - x^2)

a sum of terms >= 0: nothing cancels where P and Q almost agree, and no logarithm needs an epsilon. 1 - x^2 is computed
as u = P Q / M^2, which is exact near |x| = 1. Near x = 0, where u is rounded, adding (1 - u) - x^2 restores the digits
that log u lost; elsewhere this term is a rounding error, 1e-7 beside a phi that is not small.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 1 << 19  # elements of a float32 work buffer (2 MiB); each thread has five
FLOOR = -80.0  # logits are clamped to this much below the largest: e^-80 is negligible, but its logarithm is finite
BITS = math.log2(math.e)  # per nat; powers of 2, because torch's exp2 takes half the time of its exp on a CPU
NATS = math.log(2.0)  # per bit


class Divergence(NamedTuple):
    """Divergences and entropies of each token, each (N,) float32 in nats."""

    jsd: Tensor  # Jensen-Shannon divergence of P and Q, in [0, ln 2]
    kl: Tensor  # KL(P || Q)
    entropy: Tensor  # H(P)
    perturbed_entropy: Tensor  # H(Q)
    log_z: Tensor  # log-sum-exp of the logits of P divided by the temperature: log P_v = logit_v / temperature - log_z


def divergence(logits: Tensor, perturbed_logits: Tensor, temperature: float | Tensor = 1.0) -> Divergence:
    """Compute the divergences between the two distributions of each token, without gradient.

    Args:
        logits: (N, V) floating point, logits of the clean distribution P. ``-inf`` forbids a token.
        perturbed_logits: (N, V), logits of Q in the same dtype.
        temperature: > 0; a float, or (N,) with one for each token.

    Raises:
        ValueError: the shapes differ, or are not (tokens, vocabulary).
    """
    if logits.shape != perturbed_logits.shape or logits.dim() != 2:
        shapes = tuple(logits.shape), tuple(perturbed_logits.shape)
        raise ValueError(f"logits, perturbed_logits: got shapes {shapes}, expected one shape (tokens, vocabulary)")
    if not isinstance(temperature, Tensor):  # filled on the device: as_tensor would copy from the host and wait
        temperature = torch.full((len(logits),), temperature, dtype=torch.float32, device=logits.device)
    scale = 1.0 / temperature
    with torch.no_grad():
        if logits.is_cuda:
            from verl_plugins.kernels.divergence_triton import divergence_triton

            return Divergence(*divergence_triton(logits, perturbed_logits, scale, FLOOR))
        return divergence_torch(logits, perturbed_logits, scale)


def divergence_torch(logits: Tensor, perturbed_logits: Tensor, scale: Tensor) -> Divergence:
    """Compute ``divergence`` in plain torch; ``scale`` (N,) float32 multiplies the logits.

    Each thread works alone on its own rows. With torch's threads inside every operation, each of these small operations
    would wait for the slowest thread at its end: for milliseconds, if other processes keep a core busy.
    """
    tokens, vocabulary = logits.shape
    rows = max(1, min(tokens, CHUNK // vocabulary))
    starts = range(0, tokens, rows)
    remaining = iter(starts)  # shared: a thread takes the next chunk when it has finished one
    bits = scale * BITS
    sums = torch.empty(4, 2, tokens, dtype=torch.float32, device=logits.device)

    @torch.no_grad()
    def work() -> None:
        buffers = torch.empty(5, rows, vocabulary, dtype=torch.float32, device=logits.device)
        for start in remaining:
            chunk = slice(start, min(start + rows, tokens))
            _chunk(
                logits[chunk],
                perturbed_logits[chunk],
                bits[chunk, None],
                buffers[:, : chunk.stop - start],
                sums[..., chunk],
            )

    threads = torch.get_num_threads()
    workers = max(1, min(threads, len(starts)))
    torch.set_num_threads(1)  # inherited by the workers
    try:
        with ThreadPoolExecutor(workers) as pool:
            for job in [pool.submit(work) for _ in range(workers)]:
                job.result()
    finally:
        torch.set_num_threads(threads)

    tops, totals, dots, (kl, jsd) = sums
    log_z = totals.log()
    entropy, perturbed_entropy = log_z - NATS * dots / totals
    return Divergence(
        jsd=jsd / (2 * totals[0]),
        kl=NATS * kl / totals[0],
        entropy=entropy,
        perturbed_entropy=perturbed_entropy,
        log_z=log_z[0] + scale * tops[0],
    )


def _chunk(logits: Tensor, perturbed_logits: Tensor, bits: Tensor, buffers: Tensor, sums: Tensor) -> None:
    """Write the sums over the vocabulary from which the divergences are computed.

    With p = exp(logit - largest logit) for P, q likewise for Q and then multiplied by sum p / sum q, ``sums`` gets

        [0] the largest logit of P, of Q        [2] sum p log2 p, sum q log2 q (before q is multiplied)
        [1] sum p, sum q (likewise)             [3] sum p log2(p / q), sum (p + q)/2 phi

    Args:
        logits, perturbed_logits: (rows, V).
        bits: (rows, 1) float32, multiplies the logits: log2(e) / temperature.
        buffers: (5, rows, V) float32, overwritten.
        sums: (4, 2, rows) float32.
    """
    log_p, log_q, p, q, x = buffers
    for source, log_weight, weight, top, total, dot in zip(
        (logits, perturbed_logits), (log_p, log_q), (p, q), *sums[:3], strict=True
    ):
        log_weight.copy_(source)
        torch.amax(log_weight, dim=1, out=top)
        log_weight.sub_(top.unsqueeze(1)).mul_(bits).clamp_min_(FLOOR * BITS)
        torch.exp2(log_weight, out=weight)
        torch.sum(weight, dim=1, out=total)
        torch.sum(torch.mul(weight, log_weight, out=x), dim=1, out=dot)

    ratio = (sums[1, 0] / sums[1, 1]).unsqueeze(1)
    q.mul_(ratio)
    d = log_p.sub_(log_q).sub_(ratio.log2())
    torch.sum(torch.mul(p, d, out=x), dim=1, out=sums[3, 0])

    m = torch.lerp(p, q, 0.5, out=log_q)
    p.div_(m)
    q.div_(m)
    u = torch.mul(p, q, out=x)
    log_u = torch.log(u, out=q)
    x = p.sub_(1.0)
    lost_and_xd = torch.sub(1.0, u, out=u).addcmul_(x, d.sub_(x, alpha=BITS), value=NATS)  # (1 - u) - x^2 + x D
    torch.sum(log_u.add_(lost_and_xd).mul_(m), dim=1, out=sums[3, 1])
