"""The attack of an evaluation (`verl_plugins.evaluate`): one row at a time, on a model that transformers loads.

It is the attack of training (`attack.py`) without verl's engine: the gradient of the entropy of the mid-entropy tokens
of one response, here the model's own response to the clean image, with respect to the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText

from verl_plugins.components.hidden_states import before_projection, output_projection
from verl_plugins.methods.saei.attack import entropy_and_gradient
from verl_plugins.methods.saei.attacked_images import AttackedImages
from verl_plugins.methods.saei.maths import SaEIConfig, select_tokens

ROW = "row"


class EntropyAttack:
    """Attack along the model's gradient; ``Method.attack`` has the contract.

    Args:
        folder: folder of the model.
        processor: the model's processor.
        settings: keyword arguments of the processor.
        dtype: name of the model's data type, e.g. "bfloat16".
        strength: size of a step, in 8-bit levels.
        steps: number of steps; the ball's radius is ``steps * strength``.
    """

    def __init__(
        self, folder: Path, processor: Any, settings: Mapping[str, Any], dtype: str, strength: int, steps: int
    ):
        self.processor, self.settings = processor, settings
        self.config = SaEIConfig(alpha=strength, steps=steps)
        self.device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
        model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
        self.model = model.to(self.device).eval().requires_grad_(False)

    def __call__(
        self, token_ids: Sequence[int], inputs: Mapping[str, Any], response: Sequence[int]
    ) -> tuple[list[Tensor], float, float]:
        """Attack the images of one row.

        Args:
            token_ids: the prompt, with all tokens of the images.
            inputs: the processor's output for the images.
            response: at least one token, sampled on the clean images.

        Returns:
            The images, each (3, H, W) uint8 in the processor's size, and the mean entropy of the response's mid-entropy
            tokens at temperature 1 before and after, in nats.
        """
        images = AttackedImages(self.processor, self.settings, [ROW], [0], [dict(inputs)], ())
        ids = torch.tensor([[*token_ids, *response]])
        entropies, selected = [], None
        for step in range(self.config.steps + 1):
            with_gradient = step < self.config.steps
            pixel_values = images.inputs(ROW)["pixel_values"]
            entropy, selected, gradient = self._forward(
                ids, inputs.get("image_grid_thw"), pixel_values, len(response), selected, with_gradient
            )
            entropies.append(entropy)
            if gradient is not None:
                images.add_gradient([ROW], gradient)
                images.take_step(self.config, step)
        return images.prompts[ROW].pixels, entropies[0], entropies[-1]

    def _forward(
        self,
        ids: Tensor,
        grid: Any,
        pixel_values: Tensor,
        length: int,
        selected: Tensor | None,
        with_gradient: bool,
    ) -> tuple[float, Tensor, Tensor | None]:
        """Compute the entropy of the selected tokens, and its gradient with respect to ``pixel_values``.

        Args:
            ids: (1, prompt + response) int64.
            length: number of response tokens.
            selected: (n,) int64, indices in the response that the first forward selected; None in the first.

        Returns:
            The mean entropy in nats; the selected tokens; the gradient in float32 on the CPU, None if not asked for.
        """
        inputs = self._model_inputs(ids, grid)
        pixel_values = pixel_values.to(self.device).requires_grad_(with_gradient)
        head = output_projection(self.model)
        results: list[tuple[float, Tensor]] = []

        def visit(states: Tensor) -> Tensor | None:
            states = states[-length - 1 : -1]  # each token is predicted at the one before it
            ones = torch.ones(length, device=states.device)
            tokens = selected
            if tokens is None:
                entropy, _ = entropy_and_gradient(head, states.detach(), ones)
                tokens = select_tokens(entropy[None], ones[None], self.config)[0].nonzero().squeeze(1)
            states, ones = states[tokens], ones[tokens]
            weight = ones / len(tokens) if with_gradient else None
            entropy, gradient = entropy_and_gradient(head, states.detach(), ones, weight)
            results.append((entropy.mean().item(), tokens))
            return None if gradient is None else (states * gradient).sum().reshape(1, 1, 1)

        with before_projection(head, visit), torch.set_grad_enabled(with_gradient):
            output = self.model(**inputs, pixel_values=pixel_values, use_cache=False)
        gradient = None
        if with_gradient:
            gradient = torch.autograd.grad(output.logits.sum(), pixel_values)[0].float().cpu()
        return *results[0], gradient

    def _model_inputs(self, ids: Tensor, grid: Any) -> dict[str, Tensor]:
        """Return the model's inputs besides the pixels; the model computes the positions from them."""
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if grid is not None:
            inputs["image_grid_thw"] = torch.as_tensor(grid).reshape(-1, 3)
            inputs["mm_token_type_ids"] = (ids == self.processor.image_token_id).int()
        return {name: value.to(self.device) for name, value in inputs.items()}
