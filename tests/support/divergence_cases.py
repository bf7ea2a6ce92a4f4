"""Pairs of logits at the edges of what the divergences must bear, their values in float64, and the Triton kernel's.

TRITON_INTERPRET=1 python tests/support/divergence_cases.py OUTPUT    # {case: (5, N)}, by Triton's interpreter
"""

from __future__ import annotations

import math
import sys

import torch

from verl_plugins.kernels.divergence import FLOOR, Divergence

INFINITY = math.inf


def exact(logits, perturbed, temperature=1.0):
    """Divergence in float64 from its definition, of logits cut off at FLOOR below the largest."""
    temperature = torch.as_tensor(temperature, dtype=torch.float64).reshape(-1, 1)
    scaled, scaled_perturbed = logits.double() / temperature, perturbed.double() / temperature
    cut = [torch.maximum(x, x.amax(dim=-1, keepdim=True) + FLOOR) for x in (scaled, scaled_perturbed)]
    lp, lq = (x.log_softmax(dim=-1) for x in cut)
    p, q = lp.exp(), lq.exp()
    lm = torch.logaddexp(lp, lq) - math.log(2)

    def mean(weight, value):
        return (weight * value).sum(dim=-1)

    jsd = 0.5 * mean(p, lp - lm) + 0.5 * mean(q, lq - lm)
    return Divergence(jsd, mean(p, lp - lq), -mean(p, lp), -mean(q, lq), scaled.logsumexp(dim=-1))


def pairs(tokens=6, vocabulary=50_021, noise=0.3, dtype=torch.bfloat16, seed=0, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = (spread * torch.randn(tokens, vocabulary, generator=generator)).to(dtype)
    perturbed = (logits.float() + noise * torch.randn(tokens, vocabulary, generator=generator)).to(dtype)
    return logits, perturbed


def forbidden_in_both():
    logits, perturbed = pairs(1, 151_936)
    logits[:, 100:] = perturbed[:, 100:] = -INFINITY
    return logits, perturbed


def forbidden_in_either():
    """If one is -inf, the other's probability is e^-80 / 150,000: below float32's smallest normal number, 1.2e-38."""
    logits = torch.zeros(1, 151_936, dtype=torch.bfloat16)
    perturbed = logits.clone()
    logits[:, :1000] = -INFINITY
    perturbed[:, 500:1500] = -INFINITY
    return logits, perturbed


def flat_against_the_token_it_forbids():
    """P Q / M^2 of token 7 is 4 e^-80 / 150,000, a denormal number whose logarithm is needed."""
    logits = torch.zeros(1, 151_936, dtype=torch.bfloat16)
    perturbed = torch.full_like(logits, -INFINITY)
    logits[0, 7], perturbed[0, 7] = -INFINITY, 3.0
    return logits, perturbed


def peaks_200_apart():
    logits, perturbed = torch.full((2, 2, 4097), -100.0)
    logits[:, 0] = perturbed[:, 1] = 100.0
    return logits, perturbed


def columns_of_a_wider_buffer():
    buffer, _ = pairs(3, 10_000)
    return buffer[:, :4500], buffer[:, 5001:9501]


def different_strides():
    logits, perturbed = pairs(3, 4500)
    wide = torch.full((3, 6000), 50.0, dtype=logits.dtype)
    wide[:, :4500] = perturbed
    return logits, wide[:, :4500]


def transposed():
    logits, perturbed = pairs(5003, 4)
    return logits.t(), perturbed.t()


def rows_beyond_int32():
    """Row 2 begins at element 2^31. 4 GiB of addresses; memory only for the pages that are written."""
    vocabulary, stride = 300, 1 << 30
    buffer = torch.empty(2 * stride + vocabulary, dtype=torch.bfloat16)
    logits, perturbed = pairs(3, vocabulary)
    far = buffer.as_strided((3, vocabulary), (stride, 1))
    far.copy_(logits)
    return far, perturbed


# name: () -> (logits, perturbed logits, temperature), with temperature a float or a list of one for each token
CASES = {
    "Qwen's vocabulary": lambda: (*pairs(1, 151_936), 1.0),
    "temperatures 0.01, 0.7 and 100": lambda: (*pairs(3, 20_000), [0.01, 0.7, 100.0]),
    "InternVL3's vocabulary, rows not aligned": lambda: (*pairs(2, 151_674, seed=1), 1.0),
    "float16": lambda: (*pairs(2, 32_000, dtype=torch.float16), 1.0),
    "float32": lambda: (*pairs(3, 5001, dtype=torch.float32), 1.3),
    "almost equal": lambda: (*pairs(2, 9001, noise=0.001, dtype=torch.float32), 1.0),
    "almost equal bf16": lambda: (*pairs(2, 9001, noise=0.01), 1.0),
    "equal": lambda: (pairs(1, 5000)[0],) * 2 + (1.0,),
    "far apart": lambda: (*pairs(2, 9001, noise=10.0), 1.0),
    "37 tokens": lambda: (*pairs(4, 37), 1.0),
    "one token": lambda: (*pairs(2, 1), 1.0),
    "logits of 100": lambda: (*pairs(2, 4096, noise=5.0, spread=30.0), 1.0),
    **{
        function.__name__.replace("_", " "): lambda function=function: (*function(), 1.0)
        for function in (
            forbidden_in_both,
            forbidden_in_either,
            flat_against_the_token_it_forbids,
            peaks_200_apart,
            columns_of_a_wider_buffer,
            different_strides,
            transposed,
            rows_beyond_int32,
        )
    },
}


def interpret(path):
    from verl_plugins.kernels.divergence_triton import divergence_triton

    results = {}
    for name, case in CASES.items():
        logits, perturbed, temperature = case()
        scale = 1 / torch.as_tensor(temperature).expand(len(logits))
        results[name] = divergence_triton(logits, perturbed, scale, FLOOR)
    torch.save(results, path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    interpret(sys.argv[1])
