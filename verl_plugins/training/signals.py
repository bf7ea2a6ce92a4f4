"""Checks of a step's per-token columns: what an engine did not compute is told by name, in the first step."""

from __future__ import annotations

from collections.abc import Sequence

from tensordict import TensorDict
from torch import Tensor

from verl_plugins.methods.batch import AdvantageBatch

SOURCES = {
    "old_log_probs": "actor_rollout_ref.rollout.calculate_log_probs=true where "
    "algorithm.rollout_correction.bypass_mode=true",
    "entropy": "actor_rollout_ref.model.use_fused_kernels=false and actor_rollout_ref.actor.strategy=fsdp2",
    "rollout_log_probs": "actor_rollout_ref.rollout.calculate_log_probs=false, or a rollout engine that returns them",
}
"""What to set where a column is missing."""


def expect_columns(data: TensorDict, names: Sequence[str]) -> None:
    """Raise ValueError if a column is not in the TransferQueue, which leaves out what it does not have."""
    for name in names:
        if name not in data:
            raise ValueError(f"{name}: {_fix('got no such column', name)}")


def expect_signals(batch: AdvantageBatch) -> None:
    """Check that log-probabilities and entropy were computed: columns of zeros are what engines return otherwise.

    A policy that is sure of every token has zero entropy, too, and then its tokens' log-probabilities are zero.

    Raises:
        ValueError: the column that is zero.
    """
    mask = batch.response_mask.bool()
    if not mask.any():
        return
    has_log_probs, has_entropy = _any(batch.old_log_probs, mask), _any(batch.entropy, mask)
    number = f"{int(mask.sum()):,} response tokens"
    if batch.entropy is not None and has_log_probs and not has_entropy:
        raise ValueError(f"entropy: {_fix(f'got 0 at all {number}, whose log-probabilities are not', 'entropy')}")
    if not has_log_probs and (has_entropy or _any(batch.rollout_log_probs, mask)):
        raise ValueError(f"old_log_probs: {_fix(f'got 0 at all {number}', 'old_log_probs')}")


def _any(values: Tensor | None, mask: Tensor) -> bool:
    return values is not None and bool((values[mask] != 0).any())


def _fix(got: str, name: str) -> str:
    expected = f"{got}, expected one number per response token"
    return f"{expected}; set {SOURCES[name]}" if name in SOURCES else f"{expected} from the actor's engine"
