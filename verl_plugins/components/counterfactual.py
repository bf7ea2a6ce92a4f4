"""A counterfactual forward: the same responses, given the image and given a perturbed one.

The old log-probabilities, the entropy and the divergences come out of one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_id
from verl.utils.model import extract_multi_modal_inputs

from verl_plugins.components import hidden_states
from verl_plugins.components.hidden_states import Predictions, autocast, before_projection, output_projection
from verl_plugins.kernels.divergence import Divergence, divergence
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import perturb

COUNTERFACTUAL = "counterfactual"  # key of the batch's meta information that asks for it
SIGNALS = ("jsd", "kl", "perturbed_entropy")  # what it adds to log_probs and entropy


@dataclass(frozen=True)
class Counterfactual:
    """Which image takes the place of the clean one (``verl_plugins.vision.perturb``), and the key of its noise."""

    kind: str
    strength: float
    seed: int
    step: int


def counterfactual_forward(engine: Any, micro_batch: TensorDict, counterfactual: Counterfactual) -> dict[str, Tensor]:
    """Nested (B, prompt + response) float32: log_probs, entropy and SIGNALS, at the token before the one they are
    of, as verl's engine returns them; zero where no response token follows.

    Args:
        engine: verl's ``FSDPEngineWithLMHead``.
        micro_batch: on the model's device.
    """
    model_inputs, _ = engine.prepare_model_inputs(micro_batch=micro_batch)
    perturbed_inputs = model_inputs | _perturbed_images(engine, micro_batch, counterfactual)
    at = Predictions.of(micro_batch, model_inputs)
    head = output_projection(engine.module)
    hidden: list[Tensor] = []
    found: list[tuple[Tensor, Divergence]] = []

    def keep(clean: Tensor) -> None:
        hidden.append(clean[at.positions])

    def compare(perturbed: Tensor) -> None:
        pair = hidden[0], perturbed[at.positions]
        found.append(project_and_compare(head, *pair, at.labels, at.temperature))

    with autocast(engine):
        for inputs, visit in ((model_inputs, keep), (perturbed_inputs, compare)):
            with before_projection(head, visit):
                engine.module(**inputs, use_cache=False)
    log_probs, divergences = found[0]
    signals = {"log_probs": log_probs} | {name: getattr(divergences, name) for name in ("entropy", *SIGNALS)}
    return {name: at.nested(values, micro_batch["input_ids"]) for name, values in signals.items()}


def _perturbed_images(engine: Any, micro_batch: TensorDict, counterfactual: Counterfactual) -> dict[str, Any]:
    """The model's multi-modal inputs with every image perturbed, one draw for all responses to a prompt's image.

    The processor's output stays on the host in verl; the noise is drawn, and added, on the model's device.
    A prompt can have two: saei with ``update=adversarial`` trains some of its responses on another image.
    """
    layout = layout_of(engine.model_config.processor)
    drawn: dict[str, list[tuple[Tensor, dict[str, Any]]]] = {}
    samples = []
    fields = (micro_batch[name] for name in ("multi_modal_inputs", "index", "uid"))
    for row in zip(*fields, strict=True):
        inputs: Any
        uid: Any
        inputs, index, uid = (tu.unwrap_non_tensor_data(field) for field in row)
        if inputs and inputs.get("pixel_values") is not None:
            images = drawn.setdefault(uid, [])  # not by index: where a data set has none, verl gives every row index 0
            found = next((other for clean, other in images if torch.equal(clean, inputs["pixel_values"])), None)
            if found is None:
                key = (counterfactual.seed, counterfactual.step, str(index))
                moved = {**inputs, "pixel_values": inputs["pixel_values"].to(get_device_id())}
                found = perturb(moved, layout, counterfactual.kind, counterfactual.strength, key)
                images.append((inputs["pixel_values"], found))
            inputs = found
        samples.append(inputs)
    return extract_multi_modal_inputs(samples)


def project_and_compare(
    head: nn.Linear, clean: Tensor, perturbed: Tensor, labels: Tensor, temperature: Tensor
) -> tuple[Tensor, Divergence]:
    """Log-probabilities of the labels under the clean distribution, and the divergences, chunk by chunk.

    The logits are divided by the temperature as verl does, in their own dtype and with the temperature rounded to it:
    in bf16 the log-probabilities would else differ from those of the update, and its first ratio from 1.

    Args:
        head: projects (n, hidden size) to (n, V).
        clean, perturbed: (N, hidden size).
        labels: (N,) int64.
        temperature: (N,) float32.

    Returns:
        (N,) float32, nats, and the divergences, (N,) each.
    """
    size = max(1, hidden_states.CHUNK // head.out_features)
    is_unscaled = bool((temperature == 1).all())
    log_probs, parts = [], []
    for states, others, label, scale in zip(
        *(tensor.split(size) for tensor in (clean, perturbed, labels, temperature)), strict=True
    ):
        # not head(...): the hook is for the model's own call
        logits, perturbed_logits = head.forward(states), head.forward(others)
        if not is_unscaled:
            scale = scale.clamp(min=1e-8).to(logits.dtype).unsqueeze(1)
            logits, perturbed_logits = logits / scale, perturbed_logits / scale
        part = divergence(logits, perturbed_logits)
        log_probs.append(logits.gather(1, label.unsqueeze(1)).squeeze(1).float() - part.log_z)
        parts.append(part)
    return torch.cat(log_probs), Divergence(*(torch.cat(field) for field in zip(*parts, strict=True)))
