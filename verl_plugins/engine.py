"""verl's FSDP engine with a counterfactual forward: the same responses, given the image and given a perturbed one.

The old log-probabilities, the entropy and the divergences come out of one call. The vocabulary is projected for
response tokens only and in chunks, so that the logits of a micro-batch never exist at once.
"""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportIndexIssue=false
# verl registers its engine with an untyped decorator, which hides the class's type.

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_id, get_device_name
from verl.utils.model import extract_multi_modal_inputs
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from verl_plugins.kernels.divergence import Divergence, divergence
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import perturb

ENGINE = "entropy_language_model"  # the model type under which it is registered
COUNTERFACTUAL = "counterfactual"  # key of the batch's meta information that asks for it
SIGNALS = ("jsd", "kl", "perturbed_entropy")  # what it adds to log_probs and entropy
CHUNK = 1 << 26  # logits projected at once: 128 MiB in bf16 for each of the two distributions


@dataclass(frozen=True)
class Counterfactual:
    """Which image takes the place of the clean one (``verl_plugins.vision.perturb``), and the key of its noise."""

    kind: str
    strength: float
    seed: int
    step: int


class EntropyEngine(FSDPEngineWithLMHead):
    """``FSDPEngineWithLMHead`` that also answers batches carrying a ``Counterfactual``; all others are verl's."""

    def __init__(self, model_config, *args, **kwargs):
        model_config.model_type = "language_model"  # to verl, which looked this engine up under its own name
        super().__init__(model_config, *args, **kwargs)

    def forward_step(self, micro_batch: TensorDict, loss_function: Callable | None, forward_only: bool):
        counterfactual: Any = tu.get_non_tensor_data(micro_batch, COUNTERFACTUAL, None)
        if counterfactual is None:
            return super().forward_step(micro_batch, loss_function, forward_only)
        assert forward_only and loss_function is None
        model_output = self._counterfactual_forward(micro_batch.to(get_device_id()), counterfactual)
        return torch.tensor(1.0), {"model_output": model_output, "loss": 1.0, "metrics": {}}

    def _counterfactual_forward(self, micro_batch: TensorDict, counterfactual: Counterfactual) -> dict[str, Tensor]:
        """Nested (B, prompt + response) float32: log_probs, entropy and SIGNALS, at the token before the one they are
        of, as verl's engine returns them; zero where no response token follows."""
        model_inputs, _ = self.prepare_model_inputs(micro_batch=micro_batch)
        perturbed_inputs = model_inputs | self._perturbed_images(micro_batch, counterfactual)
        input_ids = micro_batch["input_ids"]
        packed, rows = predicting_positions(input_ids, micro_batch["response_mask"])
        if model_inputs["attention_mask"] is None:
            positions = packed  # remove-padding: the model, too, sees the rows one after the other
        else:
            positions = packed - input_ids.offsets()[rows] + rows * model_inputs["input_ids"].shape[1]
        temperature = torch.as_tensor(micro_batch["temperature"], dtype=torch.float32, device=packed.device)
        temperature = temperature.expand(input_ids.shape[0])[rows]
        labels = input_ids.values()[packed + 1]

        dtype = getattr(self, "_autocast_dtype", torch.bfloat16)
        autocast = nullcontext() if dtype == torch.float32 else torch.autocast(get_device_name(), dtype=dtype)
        head = output_projection(self.module)
        hidden: list[Tensor] = []
        found: list[tuple[Tensor, Divergence]] = []

        def keep(clean: Tensor) -> None:
            hidden.append(clean[positions])

        def compare(perturbed: Tensor) -> None:
            pair = hidden[0], perturbed[positions]
            found.append(project_and_compare(head, *pair, labels, temperature))

        with autocast:
            for inputs, visit in ((model_inputs, keep), (perturbed_inputs, compare)):
                with before_projection(head, visit):
                    self.module(**inputs, use_cache=False)
        log_probs, divergences = found[0]

        def nested(values: Tensor) -> Tensor:
            full = torch.zeros(input_ids.values().shape[0], dtype=torch.float32, device=values.device)
            full[packed] = values
            return torch.nested.nested_tensor_from_jagged(full, input_ids.offsets())

        signals = {name: nested(getattr(divergences, name)) for name in ("entropy", *SIGNALS)}
        return {"log_probs": nested(log_probs), **signals}

    def _perturbed_images(self, micro_batch: TensorDict, counterfactual: Counterfactual) -> dict[str, Any]:
        """The model's multi-modal inputs with every image perturbed, one draw for all responses to a prompt."""
        layout = layout_of(self.model_config.processor)
        drawn = {}
        samples = []
        fields = (micro_batch[name] for name in ("multi_modal_inputs", "index", "uid"))
        for row in zip(*fields, strict=True):
            inputs: Any
            inputs, index, uid = (tu.unwrap_non_tensor_data(field) for field in row)
            if inputs and inputs.get("pixel_values") is not None:
                if uid not in drawn:  # not by index: where a data set has none, verl gives every row index 0
                    key = (counterfactual.seed, counterfactual.step, str(index))
                    drawn[uid] = perturb(inputs, layout, counterfactual.kind, counterfactual.strength, key)
                inputs = drawn[uid]
            samples.append(inputs)
        return extract_multi_modal_inputs(samples)


def predicting_positions(input_ids: Tensor, response_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where the response tokens are predicted.

    Args:
        input_ids: nested (B, prompt + response).
        response_mask: nested (B, response).

    Returns:
        (N,) positions in ``input_ids.values()``, each the token before a response token; and (N,) their rows.
    """
    lengths = response_mask.offsets().diff()
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    within = torch.arange(len(rows), device=rows.device) - response_mask.offsets()[:-1][rows]
    return input_ids.offsets()[1:][rows] - lengths[rows] - 1 + within, rows


def output_projection(module: nn.Module) -> nn.Linear:
    """The projection to the vocabulary, under whatever FSDP and LoRA have wrapped around the model.

    Raises:
        ValueError: the model has none by the usual name.
    """
    for name, child in module.named_modules():
        if name.rpartition(".")[2] == "lm_head":
            return child  # pyright: ignore[reportReturnType]
    raise ValueError(f"model: got {type(module).__name__} without lm_head; vepo needs a language model with one")


@contextmanager
def before_projection(head: nn.Module, visit: Callable[[Tensor], None]) -> Iterator[None]:
    """Show the hidden states (tokens, hidden size) to ``visit``, and let the model project none of them itself.

    ``visit`` runs inside the model's forward, where FSDP has gathered the weights of ``head``.
    """

    def hook(_, args):
        (states,) = args
        visit(states.flatten(0, -2))
        return (states[..., :0, :],)

    handle = head.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def project_and_compare(
    head: nn.Linear, clean: Tensor, perturbed: Tensor, labels: Tensor, temperature: Tensor
) -> tuple[Tensor, Divergence]:
    """Log-probabilities of the labels under the clean distribution, and the divergences, chunk by chunk.

    Args:
        head: projects (n, hidden size) to (n, V).
        clean, perturbed: (N, hidden size).
        labels: (N,) int64.
        temperature: (N,) float32.

    Returns:
        (N,) float32, nats, and the divergences, (N,) each.
    """
    size = max(1, CHUNK // head.out_features)
    log_probs, parts = [], []
    for states, others, label, heat in zip(
        *(tensor.split(size) for tensor in (clean, perturbed, labels, temperature)), strict=True
    ):
        logits = head.forward(states)  # not head(...): the hook is for the model's own call
        part = divergence(logits, head.forward(others), heat)
        log_probs.append(logits.gather(1, label.unsqueeze(1)).squeeze(1).float() / heat - part.log_z)
        parts.append(part)
    return torch.cat(log_probs), Divergence(*(torch.cat(field) for field in zip(*parts, strict=True)))
