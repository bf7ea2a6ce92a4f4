"""What the language model computed for the response tokens, just before it is projected to the vocabulary.

Only these positions are projected, and in chunks, so that the logits of a micro-batch never exist at once. It happens
in a hook of the projection itself, inside the model's forward, where FSDP has gathered its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn
from verl.utils.device import get_device_name

CHUNK = 1 << 26  # logits projected at once: 128 MiB in bf16


@dataclass(frozen=True)
class Predictions:
    """Where the N response tokens of a micro-batch are predicted: each at the token before it.

    Args:
        packed: (N,) int64 positions in ``input_ids.values()``.
        rows: (N,) int64, the row of each.
        within: (N,) int64, its place in the response.
        positions: (N,) int64 positions in the model's own flattened input.
        labels: (N,) int64, the tokens.
        temperature: (N,) float32.
    """

    packed: Tensor
    rows: Tensor
    within: Tensor
    positions: Tensor
    labels: Tensor
    temperature: Tensor

    @classmethod
    def of(cls, micro_batch: TensorDict, model_inputs: dict[str, Any]) -> Predictions:
        """Of a worker's micro-batch and the inputs that verl's engine prepared from it."""
        input_ids: Any = micro_batch["input_ids"]  # nested
        packed, rows, within = predicting_positions(input_ids, micro_batch["response_mask"])
        if model_inputs["attention_mask"] is None:
            positions = packed  # remove-padding: the model, too, sees the rows one after the other
        else:
            positions = packed - input_ids.offsets()[rows] + rows * model_inputs["input_ids"].shape[1]
        heat: Any = micro_batch["temperature"]
        temperature = torch.as_tensor(heat, dtype=torch.float32, device=packed.device)
        temperature = temperature.expand(input_ids.shape[0])[rows]
        return cls(packed, rows, within, positions, input_ids.values()[packed + 1], temperature)

    def nested(self, values: Tensor, input_ids: Any) -> Tensor:
        """(N,) values as nested (B, prompt + response) float32, 0 where no response token follows."""
        full = torch.zeros(input_ids.values().shape[0], dtype=torch.float32, device=values.device)
        full[self.packed] = values
        return torch.nested.nested_tensor_from_jagged(full, input_ids.offsets())


def predicting_positions(input_ids: Any, response_mask: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Where the response tokens are predicted.

    Args:
        input_ids: nested (B, prompt + response).
        response_mask: nested (B, response).

    Returns:
        (N,) positions in ``input_ids.values()``, each the token before a response token; (N,) their rows; and (N,)
        their places in the response.
    """
    lengths = response_mask.offsets().diff()
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    within = torch.arange(len(rows), device=rows.device) - response_mask.offsets()[:-1][rows]
    return input_ids.offsets()[1:][rows] - lengths[rows] - 1 + within, rows, within


def output_projection(module: nn.Module) -> nn.Linear:
    """The projection to the vocabulary, under whatever FSDP and LoRA have wrapped around the model.

    Raises:
        ValueError: the model has none by the usual name.
    """
    for name, child in module.named_modules():
        if name.rpartition(".")[2] == "lm_head":
            return child  # pyright: ignore[reportReturnType]
    raise ValueError(
        f"model: got {type(module).__name__} without lm_head; vepo and saei need a language model with one"
    )


@contextmanager
def before_projection(head: nn.Module, visit: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Show the hidden states (tokens, hidden size) to ``visit``, and let the model project none of them itself.

    ``visit`` runs inside the model's forward, where FSDP has gathered the weights of ``head``. What it returns, if
    anything, takes the place of the model's logits.
    """
    visited: list[Tensor | None] = []

    def before(_, args):
        (states,) = args
        visited.append(visit(states.flatten(0, -2)))
        return (states[..., :0, :],)

    def after(*_):
        return visited.pop()

    handles = head.register_forward_pre_hook(before), head.register_forward_hook(after)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def autocast(engine: Any):
    """The context in which verl's FSDP engine runs its model."""
    dtype = getattr(engine, "_autocast_dtype", torch.bfloat16)
    return nullcontext() if dtype == torch.float32 else torch.autocast(get_device_name(), dtype=dtype)
