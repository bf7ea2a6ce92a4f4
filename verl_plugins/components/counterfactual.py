"""Counterfactual forward: the same responses, given the image and given a perturbed image.

One request returns the old log-probabilities, the entropy, and the divergences between the two distributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor, nn
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_id

from verl_plugins.components import hidden_states
from verl_plugins.components.hidden_states import hidden_states_of, output_projection, prepare_inputs, unfused_inputs
from verl_plugins.components.requests import ForwardRequest
from verl_plugins.kernels.divergence import Divergence, divergence
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import Perturbation, perturb

SIGNALS = ("jsd", "kl", "perturbed_entropy")
"""Columns beside log_probs and entropy: JSD(P, Q), KL(P || Q) and H(Q) of each token, P given the image, Q given the
perturbed one."""


@dataclass(frozen=True)
class Counterfactual(ForwardRequest):
    """Request for the counterfactual forward.

    Args:
        kind, strength: perturbation of the image, see ``verl_plugins.vision.perturb``.
        seed, step: key of the noise, together with the row's index and the image's number.
    """

    kind: str
    strength: float
    seed: int
    step: int

    @classmethod
    def at(cls, perturbation: Perturbation, seed: int, step: int, total_steps: int) -> Counterfactual:
        """Return the request of ``step`` (from 1) of ``total_steps``; its strength follows the schedule."""
        strength = perturbation.strength_at((step - 1) / max(1, total_steps - 1))
        return cls(perturbation.kind, strength, seed, step)

    def forward(self, engine: Any, micro_batch: TensorDict) -> dict[str, Tensor]:
        """Compute log_probs, entropy and ``SIGNALS`` of a micro-batch (``counterfactual_forward``)."""
        return counterfactual_forward(engine, micro_batch, self)


def counterfactual_forward(engine: Any, micro_batch: TensorDict, counterfactual: Counterfactual) -> dict[str, Tensor]:
    """Run the model on the image and on the perturbed image.

    Args:
        engine: verl's ``FSDPEngineWithLMHead``.
        micro_batch: rows on the model's device.

    Returns:
        Nested (B, prompt + response) float32: log_probs, entropy and ``SIGNALS``. As in verl's engine, the value of a
        response token stands at the token before it; zero elsewhere.
    """
    model_inputs, predictions = prepare_inputs(engine, micro_batch)
    perturbed = micro_batch.copy()
    images = perturbed_images(engine, micro_batch, counterfactual)
    tu.assign_non_tensor_stack(perturbed, "multi_modal_inputs", images)
    perturbed_inputs, _ = unfused_inputs(engine, perturbed)  # an engine may prepare images in its own way
    head = output_projection(engine.module)
    clean_states: list[Tensor] = []
    results: list[tuple[Tensor, Divergence]] = []

    def keep(states: Tensor) -> None:
        clean_states.append(states[predictions.positions])

    def compare(states: Tensor) -> None:
        pair = clean_states[0], states[predictions.positions]
        results.append(project_and_compare(head, *pair, predictions.labels, predictions.temperature))

    for inputs, visit in ((model_inputs, keep), (perturbed_inputs, compare)):
        with hidden_states_of(engine, visit):
            engine.module(**inputs, use_cache=False)
    log_probs, divergences = results[0]
    signals = {"log_probs": log_probs} | {name: getattr(divergences, name) for name in ("entropy", *SIGNALS)}
    return {name: predictions.nested(values, micro_batch["input_ids"]) for name, values in signals.items()}


def perturbed_images(engine: Any, micro_batch: TensorDict, counterfactual: Counterfactual) -> list[Any]:
    """Perturb every image of a micro-batch; the responses to one image share one draw of the noise.

    verl keeps the processor's output on the host; the noise is drawn and added on the model's device. A prompt can have
    two images: SaEI with ``update=adversarial`` trains some of its responses on another one.

    Returns:
        (B,) the ``multi_modal_inputs`` of the rows.
    """
    layout = layout_of(engine.model_config.processor)
    perturbed_by_prompt: dict[str, list[tuple[Tensor, dict[str, Any]]]] = {}
    samples = []
    fields = (micro_batch[name] for name in ("multi_modal_inputs", "index", "uid"))
    for row in zip(*fields, strict=True):
        inputs: Any
        uid: Any
        inputs, index, uid = (tu.unwrap_non_tensor_data(field) for field in row)
        if inputs and inputs.get("pixel_values") is not None:
            # by uid, not by index: where a data set has no index, verl gives every row index 0
            pairs = perturbed_by_prompt.setdefault(uid, [])
            perturbed = next((other for clean, other in pairs if torch.equal(clean, inputs["pixel_values"])), None)
            if perturbed is None:
                key = (counterfactual.seed, counterfactual.step, str(index))
                on_device = {**inputs, "pixel_values": inputs["pixel_values"].to(get_device_id())}
                perturbed = perturb(on_device, layout, counterfactual.kind, counterfactual.strength, key)
                pairs.append((inputs["pixel_values"], perturbed))
            inputs = perturbed
        samples.append(inputs)
    return samples


def project_and_compare(
    head: nn.Linear, clean: Tensor, perturbed: Tensor, labels: Tensor, temperature: Tensor
) -> tuple[Tensor, Divergence]:
    """Project both hidden states to the vocabulary chunk by chunk and compare the distributions.

    The logits are divided by the temperature as in verl: in their own dtype, with the temperature rounded to it.
    Otherwise the bf16 log-probabilities would differ from those of the update, and its first ratio from 1.

    Args:
        head: projects (n, hidden size) to (n, V).
        clean, perturbed: (N, hidden size).
        labels: (N,) int64.
        temperature: (N,) float32.

    Returns:
        Log-probabilities of the labels under the clean distribution, (N,) float32, nats; and the divergences, (N,)
        each.
    """
    size = max(1, hidden_states.CHUNK // head.out_features)
    is_unscaled = bool((temperature == 1).all())
    log_probs, parts = [], []
    for states, others, label, scale in zip(
        *(tensor.split(size) for tensor in (clean, perturbed, labels, temperature)), strict=True
    ):
        # not head(...), whose hook belongs to the model's own call
        logits, perturbed_logits = head.forward(states), head.forward(others)
        if not is_unscaled:
            scale = scale.clamp(min=1e-8).to(logits.dtype).unsqueeze(1)
            logits, perturbed_logits = logits / scale, perturbed_logits / scale
        part = divergence(logits, perturbed_logits)
        log_probs.append(logits.gather(1, label.unsqueeze(1)).squeeze(1).float() - part.log_z)
        parts.append(part)
    return torch.cat(log_probs), Divergence(*(torch.cat(field) for field in zip(*parts, strict=True)))
