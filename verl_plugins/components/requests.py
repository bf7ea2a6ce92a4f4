"""Requests to the engine: a batch carries one in its meta information, and the engine runs it in place of verl's own
forward. A request is a frozen dataclass, pickled to the workers; equal requests are computed once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tensordict import TensorDict
from torch import Tensor

REQUEST = "verl_plugins_request"
"""Key of the request in a batch's meta information."""


class ForwardRequest(ABC):
    """A forward of its own for each micro-batch, without gradient."""

    @abstractmethod
    def forward(self, engine: Any, micro_batch: TensorDict) -> dict[str, Tensor]:
        """Compute a micro-batch.

        Args:
            engine: verl's ``FSDPEngineWithLMHead`` of this rank.
            micro_batch: rows on the model's device.

        Returns:
            Nested (B, prompt + response) tensors by column name; among them ``log_probs`` and ``entropy``.
        """


class BatchRequest(ABC):
    """A computation over all rows of a rank, which makes its own micro-batches."""

    @abstractmethod
    def forward_backward(self, engine: Any, data: TensorDict) -> dict[str, Any]:
        """Compute a rank's rows; returns what verl's ``forward_backward_batch`` returns."""
