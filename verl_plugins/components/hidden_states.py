"""Hidden states of the response tokens, taken just before the projection to the vocabulary.

Only these positions are projected, and in chunks, so the logits of a whole micro-batch never exist. The work is done in
a hook of the projection itself, inside the model's forward, where FSDP has gathered its weights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_name
from verl.utils.ulysses import get_ulysses_sequence_parallel_group, get_ulysses_sequence_parallel_rank

CHUNK = 1 << 26  # logits projected at once: 128 MiB in bf16
FUSED = ("forward_with_torch_backend", "forward_with_triton_backend")  # verl's, under use_fused_kernels=true


@dataclass(frozen=True)
class Predictions:
    """Positions at which the N response tokens of a micro-batch are predicted: each at the token before it.

    Under Ulysses sequence parallelism, the N of them in this rank's slice of the packed rows; N can be 0.

    Args:
        packed: (N,) int64, positions in ``input_ids.values()``.
        rows: (N,) int64, row of each token.
        within: (N,) int64, index of each token in its response.
        positions: (N,) int64, positions in the model's flattened hidden states.
        labels: (N,) int64, token ids.
        temperature: (N,) float32.
    """

    packed: Tensor
    rows: Tensor
    within: Tensor
    positions: Tensor
    labels: Tensor
    temperature: Tensor

    @classmethod
    def of(cls, micro_batch: TensorDict, model_inputs: dict[str, Any], output_args: dict[str, Any]) -> Predictions:
        """Build from a worker's micro-batch and what verl's engine prepared from it (``prepare_model_inputs``)."""
        input_ids: Any = micro_batch["input_ids"]  # nested
        packed, rows, within = predicting_positions(input_ids, micro_batch["response_mask"])
        if model_inputs["attention_mask"] is None:  # use_remove_padding: the model's input is packed as well
            positions = packed
            if get_ulysses_sequence_parallel_group() is not None:
                length = len(output_args["input_ids_rmpad_rolled"])  # of each rank's slice
                positions = packed - get_ulysses_sequence_parallel_rank() * length
                own = ((positions >= 0) & (positions < length)).nonzero().squeeze(1)
                packed, rows, within, positions = (index[own] for index in (packed, rows, within, positions))
        else:
            positions = packed - input_ids.offsets()[rows] + rows * model_inputs["input_ids"].shape[1]
        temperature: Any = micro_batch["temperature"]
        temperature = torch.as_tensor(temperature, dtype=torch.float32, device=packed.device)
        temperature = temperature.expand(input_ids.shape[0])[rows]
        return cls(packed, rows, within, positions, input_ids.values()[packed + 1], temperature)

    def nested(self, values: Tensor, input_ids: Any) -> Tensor:
        """Spread (N,) values over nested (B, prompt + response) float32, 0 where no response token follows.

        Every Ulysses rank returns the values of all of them, as verl's engine does.
        """
        full = torch.zeros(input_ids.values().shape[0], dtype=torch.float32, device=values.device)
        full[self.packed] = values
        return torch.nested.nested_tensor_from_jagged(sum_over_slices(full), input_ids.offsets())


def predicting_positions(input_ids: Any, response_mask: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Locate the tokens that predict the response tokens.

    Args:
        input_ids: nested (B, prompt + response).
        response_mask: nested (B, response).

    Returns:
        (N,) positions in ``input_ids.values()``, each the token before a response token; (N,) their rows; and (N,)
        their indices in the response.
    """
    lengths = response_mask.offsets().diff()
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    within = torch.arange(len(rows), device=rows.device) - response_mask.offsets()[:-1][rows]
    return input_ids.offsets()[1:][rows] - lengths[rows] - 1 + within, rows, within


def prepare_inputs(engine: Any, micro_batch: TensorDict) -> tuple[dict[str, Any], Predictions]:
    """Prepare the model's inputs as verl's engine does without fused kernels, and locate the predictions.

    Args:
        engine: verl's ``FSDPEngineWithLMHead``.
        micro_batch: rows on the model's device.
    """
    model_inputs, output_args = unfused_inputs(engine, micro_batch)
    return model_inputs, Predictions.of(micro_batch, model_inputs, output_args)


def unfused_inputs(engine: Any, micro_batch: TensorDict) -> tuple[dict[str, Any], dict[str, Any]]:
    """Prepare the model's inputs as verl's engine does without fused kernels; returns them and verl's output_args."""
    micro_batch = micro_batch.copy()
    tu.assign_non_tensor(micro_batch, use_fused_kernels=False)
    return engine.prepare_model_inputs(micro_batch=micro_batch)


def sum_over_slices(values: Tensor) -> Tensor:
    """Sum over the ranks of verl's Ulysses group, in place; without sequence parallelism, do nothing.

    Where each rank has the values of its own slice and zeros elsewhere, this gathers them without rounding.
    """
    group = get_ulysses_sequence_parallel_group()
    if group is not None:
        torch.distributed.all_reduce(values, group=group)
    return values


@contextmanager
def hidden_states_of(engine: Any, visit: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Let the engine's model run in its autocast and pass its hidden states to ``visit``; see ``before_projection``."""
    head = output_projection(engine.module)
    with autocast(engine), unfused_forward(engine.module), before_projection(head, visit):
        yield


def output_projection(module: nn.Module) -> nn.Linear:
    """Return the projection to the vocabulary, under whatever FSDP and LoRA have wrapped around the model.

    Raises:
        ValueError: the model has no module named ``lm_head``.
    """
    return _model_and_projection(module)[1]


def _model_and_projection(module: nn.Module) -> tuple[nn.Module, nn.Linear]:
    for name, child in module.named_modules():
        parent, _, last = name.rpartition(".")
        if last == "lm_head":
            return module.get_submodule(parent), child  # pyright: ignore[reportReturnType]
    raise ValueError(
        f"model: got {type(module).__name__} without lm_head, expected a language model with one; set "
        "actor_rollout_ref.model.path"
    )


@contextmanager
def unfused_forward(module: nn.Module) -> Iterator[None]:
    """Give the model its unfused forward, bit for bit that of a run without ``model.use_fused_kernels``.

    With fused kernels verl replaces the ``forward`` of the model's class by one that reads the weights of ``lm_head``
    and never calls it. The module of verl that defines it also defines the family's unfused forward, which the instance
    gets meanwhile; the class, and with it verl's own forwards, stays fused.

    Raises:
        ValueError: verl has no unfused forward for the family.
    """
    model, _ = _model_and_projection(module)
    fused = type(model).forward  # FSDP2's class inherits it
    if fused.__name__ not in FUSED:
        yield
        return
    unfused = getattr(sys.modules[fused.__module__], "forward_with_normal_backend", None)
    if unfused is None:
        raise ValueError(
            f"actor_rollout_ref.model.use_fused_kernels: got true for {type(model).__name__}, expected false (verl's "
            "fused forward of this model replaces one that cannot be recovered); set "
            "actor_rollout_ref.model.use_fused_kernels=false"
        )
    model.forward = unfused.__get__(model)
    try:
        yield
    finally:
        del model.forward


@contextmanager
def before_projection(head: nn.Module, visit: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Pass the hidden states (tokens, hidden size) to ``visit``, and let the model project none of them itself.

    ``visit`` runs inside the model's forward, where FSDP has gathered the weights of ``head``. A tensor that it returns
    replaces the model's logits.
    """
    replacements: list[Tensor | None] = []

    def before(_, args):
        (states,) = args
        replacements.append(visit(states.flatten(0, -2)))
        return (states[..., :0, :],)

    def after(*_):
        return replacements.pop()

    handles = head.register_forward_pre_hook(before), head.register_forward_hook(after)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def autocast(engine: Any):
    """Return the autocast context in which verl's FSDP engine runs its model."""
    dtype = getattr(engine, "_autocast_dtype", torch.bfloat16)
    return nullcontext() if dtype == torch.float32 else torch.autocast(get_device_name(), dtype=dtype)
