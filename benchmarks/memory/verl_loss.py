"""verl's log-probabilities and entropy on the meta device, with the kernels of a GPU stood in for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint
from verl.utils import torch_functional

from memory.cuda_autocast import under_cuda_autocast
from memory.stand_in_kernels import CompiledEntropy, CrossEntropy
from memory.true_size_cases import Entropy


def summed_loss(logits: Tensor, entropy: Entropy, is_recomputed: bool) -> Tensor:
    """Sum of the outputs of verl's ``prepare_model_outputs``.

    Args:
        logits: (tokens, vocabulary), at temperature 1.
        entropy: how verl computes it.
        is_recomputed: whether the entropy is checkpointed (verl's ``entropy_checkpointing``).

    Returns:
        A scalar.
    """
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "compiled": CompiledEntropy.apply,  # pyright: ignore[reportAssignmentType]
        "eager": under_cuda_autocast(torch_functional.entropy_from_logits),
        "chunked": under_cuda_autocast(torch_functional.entropy_from_logits_with_chunking),
    }
    total = logits.new_zeros(())
    if entropy != "none":
        function = functions[entropy]
        # verl does not pass use_reentrant, so it is True
        values: Any = checkpoint(function, logits, use_reentrant=True) if is_recomputed else function(logits)
        total = total + values.sum()
    log_probs: Any = CrossEntropy.apply(logits, entropy == "none")
    return total + log_probs.sum()
