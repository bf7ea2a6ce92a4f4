"""How far two next-token distributions are apart, and how spread each is, in one pass over cache-sized chunks.

With P = softmax(l), Q = softmax(l'), M = (P + Q) / 2 and D_v = log P_v - log Q_v, the Jensen-Shannon divergence is

    JSD = 1/2 KL(P || M) + 1/2 KL(Q || M) = 1/2 sum_v M_v phi(x_v),     x = (P - Q) / (P + Q) = tanh(D / 2)
    phi(x) = (1 + x) log(1 + x) + (1 - x) log(1 - x) = x D + log(1 - x^2)

a sum of terms >= 0: nothing cancels where P and Q almost agree, and no epsilon stands inside a logarithm. 1 - x^2 is
taken as u = P Q / M^2, which is exact near |x| = 1; near x = 0, where u has rounded, ((1 - u) - x^2) u gives log u the
lost digits back (the last factor switches it off where it is noise).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 1 << 19  # elements of a float32 work buffer (2 MiB); the six of them stay in the cache
FLOOR = -80.0  # logits are cut off at so much below the largest: e^-80 is no probability, but its logarithm is finite


class Divergence(NamedTuple):
    """Per token, each (N,) float32 in nats."""

    jsd: Tensor  # Jensen-Shannon divergence of P and Q, in [0, ln 2]
    kl: Tensor  # KL(P || Q)
    entropy: Tensor  # H(P)
    perturbed_entropy: Tensor  # H(Q)
    log_z: Tensor  # log-sum-exp of the logits of P, at the temperature: log P_v = logit_v / temperature - log_z


def divergence(logits: Tensor, perturbed_logits: Tensor, temperature: float | Tensor = 1.0) -> Divergence:
    """Divergences of the two distributions of each token; without gradient.

    Args:
        logits: (N, V) floating point, of the clean distribution P. ``-inf`` forbids a token.
        perturbed_logits: (N, V), of Q, in the same dtype.
        temperature: > 0; a float, or (N,) one for each token.

    Raises:
        ValueError: shapes that do not agree.
    """
    if logits.shape != perturbed_logits.shape or logits.dim() != 2:
        shapes = tuple(logits.shape), tuple(perturbed_logits.shape)
        raise ValueError(f"logits, perturbed_logits: got shapes {shapes}, expected one shape (tokens, vocabulary)")
    scale = 1.0 / torch.as_tensor(temperature, dtype=torch.float32, device=logits.device).expand(len(logits))
    with torch.no_grad():
        if logits.is_cuda:
            from verl_plugins.kernels.divergence_triton import divergence_triton

            return Divergence(*divergence_triton(logits, perturbed_logits, scale, FLOOR))
        return divergence_torch(logits, perturbed_logits, scale)


def divergence_torch(logits: Tensor, perturbed_logits: Tensor, scale: Tensor) -> Divergence:
    """``divergence`` in plain torch; ``scale`` (N,) float32 multiplies the logits."""
    tokens, vocabulary = logits.shape
    out = torch.empty(5, tokens, dtype=torch.float32, device=logits.device)
    rows = max(1, min(tokens, CHUNK // max(1, vocabulary)))
    work = torch.empty(6, rows, vocabulary, dtype=torch.float32, device=logits.device)
    unscaled = bool((scale == 1).all())
    for start in range(0, tokens, rows):
        stop = min(start + rows, tokens)
        buffers = [buffer[: stop - start] for buffer in work]
        _chunk(
            logits[start:stop],
            perturbed_logits[start:stop],
            None if unscaled else scale[start:stop, None],
            buffers,
            out[:, start:stop],
        )
    return Divergence(*out)


def _chunk(logits: Tensor, perturbed: Tensor, scale: Tensor | None, buffers: list[Tensor], out: Tensor) -> None:
    a, b, p, q, x, u = buffers  # all (rows, V)
    top, log_z = _softmax(logits, scale, a, p)
    _, log_z_perturbed = _softmax(perturbed, scale, b, q)
    out[2] = log_z - torch.linalg.vecdot(p, a)
    out[3] = log_z_perturbed - torch.linalg.vecdot(q, b)
    out[4] = log_z + top.squeeze(1)

    d = a.sub_(b).sub_((log_z - log_z_perturbed).unsqueeze(1))
    out[1] = torch.linalg.vecdot(p, d) - (p.sum(dim=1) - q.sum(dim=1))  # sum P = sum Q but for rounding
    twice_m = torch.add(p, q, out=b)
    p.div_(twice_m)
    q.div_(twice_m)
    torch.sub(p, q, out=x)
    torch.mul(p, q, out=u).mul_(4.0)
    phi = torch.log(u, out=p).addcmul_(x, d)
    lost = torch.sub(1.0, u, out=q).sub_(x.square_())
    phi.addcmul_(lost, u)
    out[0] = torch.linalg.vecdot(twice_m, phi).mul_(0.25)


def _softmax(logits: Tensor, scale: Tensor | None, shifted: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Fill ``shifted`` with logits - maximum and ``p`` with the softmax; the maximum (rows, 1), and log-sum-exp of
    ``shifted`` (rows,)."""
    shifted.copy_(logits)
    if scale is not None:
        shifted.mul_(scale)
    top = shifted.amax(dim=1, keepdim=True)
    shifted.sub_(top).clamp_min_(FLOOR)
    torch.softmax(shifted, dim=1, out=p)
    return top, -p.amax(dim=1).log()
