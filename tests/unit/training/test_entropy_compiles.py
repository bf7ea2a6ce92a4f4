"""verl's entropy as the recipes set it is compiled once for any number of tokens; in chunks it is not."""

from __future__ import annotations

import pytest
import torch
import verl.utils.torch_functional as verl_F

pytestmark = pytest.mark.usefixtures("compiler")

TOKENS = (311, 307, 300, 288, 299)  # micro-batches by tokens never have the same number


def compilations(entropy, **settings):
    """Count how often torch.compile compiles for TOKENS, as verl's engine calls it."""
    count = []

    def backend(graph, inputs):
        count.append(len(inputs))
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(entropy, dynamic=True, backend=backend)
    for tokens in TOKENS:
        logits = torch.randn(tokens, 16, generator=torch.Generator().manual_seed(tokens)).bfloat16()
        with torch.no_grad():
            result = compiled(logits, **settings)
        torch.testing.assert_close(result.float(), exact(logits), rtol=0.05, atol=0.05)
    torch._dynamo.reset()
    return len(count)


def exact(logits):
    log_p = logits.double().log_softmax(dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1).float()


def test_the_recipes_entropy_is_compiled_once():
    assert compilations(verl_F.entropy_from_logits) == 1


def test_in_chunks_it_would_be_compiled_for_each_number_of_tokens():
    """So that the recipes' setting can go when this fails."""
    assert compilations(verl_F.entropy_from_logits_with_chunking, chunk_size=64) > 2
