"""Peak memory of Qwen2.5-VL at its published sizes, on a machine that could not hold one of its layers.

Everything is on the meta device: shapes, dtypes and autograd are real, numbers do not exist. The forward of packed rows
and the entropy are verl's own. What a CPU build cannot run is replaced by a stand-in that keeps and returns as much:

- FlashAttention saves queries, keys, values, the output and a float32 for each row and head (``stand_in_kernels.py``);
- its cross-entropy saves the logits and writes their gradient beside them, or over them;
- verl's compiled entropy saves the logits and allocates their gradient alone (``test_entropy_memory.py``);
- CUDA's autocast computes softmax, logsumexp and sum in float32 (``cuda_autocast.py``);
- FSDP2 reduces the gradients of a layer once it has all of them, and those outside the layers at the end.

Weights are whole and not counted: FSDP's share of the memory is arithmetic, in ``verl_plugins/plan/memory.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

from memory.alive_bytes import AliveBytes
from memory.cuda_autocast import CudaAutocast
from memory.meta_forward import forward_on_meta, gradients_reduced_by_layer
from memory.true_size_cases import GRID, IMAGES, TOKENS, Case, Entropy, Peak
from memory.verl_loss import summed_loss
from verl_plugins.components import counterfactual
from verl_plugins.components.hidden_states import before_projection
from verl_plugins.methods.saei import attack as adversarial
from verl_plugins.plan.models import CONFIGS

RESPONSE_TOKENS = 2048  # what the images leave of TOKENS


class TrueSize:
    """A model of ``verl_plugins.plan.models.CONFIGS`` with a packed micro-batch of TOKENS, on the meta device.

    Args:
        name: a key of CONFIGS.
        is_checkpointed: whether activations are recomputed in the backward.
        layers: number of layers of the language model, and of the vision tower; None for the model's own. Memory and
            the time of a measurement grow in proportion.
    """

    def __init__(self, name: str, is_checkpointed: bool = True, layers: int | None = None):
        config = _config(name, layers)
        real_grid = torch.tensor([[1, *GRID]] * IMAGES)
        vision = config.vision_config
        merge, patch, window = vision.spatial_merge_size, vision.patch_size, vision.window_size
        self._layout = {  # computed from the grid's numbers, which the meta device does not have
            "get_vision_position_ids": qwen.get_vision_position_ids(real_grid, merge),
            "get_vision_cu_seqlens": qwen.get_vision_cu_seqlens(real_grid),
            "get_vision_window_index": qwen.get_vision_window_index(real_grid, merge, window, patch),
        }
        patches, sides = IMAGES * GRID[0] * GRID[1], vision.in_channels * vision.temporal_patch_size * patch**2
        with torch.device("meta"):
            self.model: Any = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
            self.inputs = {
                "input_ids": torch.empty(1, TOKENS, dtype=torch.long),
                "position_ids": torch.empty(4, 1, TOKENS, dtype=torch.long),
                "pixel_values": torch.empty(patches, sides),
                "image_grid_thw": torch.empty(IMAGES, 3, dtype=torch.long),
            }
            self.positions = torch.empty(RESPONSE_TOKENS, dtype=torch.long)
            self.temperature = torch.empty(RESPONSE_TOKENS)
        for module in self.model.modules():
            if hasattr(module, "config"):
                module.config._attn_implementation_internal = "flash_attention_2"
        if is_checkpointed:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
            self.model.disable_input_require_grads()  # otherwise a frozen vision tower would have a backward

    def measure(self, case: Case) -> Peak:
        """Measured bytes of a case, whose ``is_checkpointed`` must be this model's."""
        if case.phase == "update":
            return self.update(case)
        return self.log_probs(case.entropy) if case.phase == "log_probs" else getattr(self, case.phase)()

    def update(self, case: Case) -> Peak:
        """Measure forward and backward of verl's loss."""
        self.model.train().requires_grad_(True)
        self.model.model.visual.requires_grad_(not case.is_vision_frozen)
        with self._counting() as alive, gradients_reduced_by_layer(self.model):
            with CudaAutocast():
                logits = self.model(**self.inputs, use_cache=False).logits.squeeze(0)
                loss = summed_loss(logits, case.entropy, case.is_entropy_recomputed)
            del logits
            loss.backward()
            self.model.zero_grad()
        return Peak(self.activations, alive.peak)

    def log_probs(self, entropy: Entropy) -> Peak:
        """Measure verl's forward for the old log-probabilities and their entropy."""
        self.model.eval()
        with self._counting() as alive, torch.no_grad(), CudaAutocast():
            summed_loss(self.model(**self.inputs, use_cache=False).logits.squeeze(0), entropy, is_recomputed=False)
        return Peak(self.activations, alive.peak)

    def counterfactual(self) -> Peak:
        """Measure VEPO's two forwards and the divergences between their predictions."""
        self.model.eval()
        hidden: list[Tensor] = []
        ones = torch.ones(RESPONSE_TOKENS)  # temperatures; on the CPU, because the code asks whether they are 1

        def keep(states: Tensor) -> None:
            hidden.append(states[self.positions])

        def compare(states: Tensor) -> None:
            pair = hidden[0], states[self.positions]
            counterfactual.project_and_compare(self.model.lm_head, *pair, self.positions, ones)

        with self._counting() as alive, torch.no_grad(), CudaAutocast():
            for visit in (keep, compare):
                with before_projection(self.model.lm_head, visit):
                    self.model(**self.inputs, use_cache=False)
        return Peak(self.activations, alive.peak)

    def attack(self) -> Peak:
        """Measure SaEI's forward and backward to the pixels, with a third of the response's tokens selected."""
        self.model.train().requires_grad_(False)
        pixels = self.inputs["pixel_values"].detach().requires_grad_()
        selected = self.positions[: RESPONSE_TOKENS // 3]
        temperature = self.temperature[: len(selected)]

        def visit(states: Tensor) -> Tensor:
            head, states = self.model.lm_head, states[self.positions]
            adversarial.entropy_and_gradient(head, states.detach(), self.temperature)
            states = states[selected]
            _, gradient = adversarial.entropy_and_gradient(head, states.detach(), temperature, temperature)
            return (states * gradient).sum().reshape(1, 1, 1)

        with self._counting() as alive:
            with CudaAutocast(), before_projection(self.model.lm_head, visit):
                inputs = {**self.inputs, "pixel_values": pixels}
                output = self.model(**inputs, use_cache=False)
            torch.autograd.grad(output.logits.sum(), pixels)
        return Peak(self.activations, alive.peak)

    @contextmanager
    def _counting(self) -> Iterator[AliveBytes]:
        """Run the block with all stand-ins and count its bytes.

        ``self.activations`` is set to the bytes alive when the forward reaches the projection to the vocabulary.
        """
        alive = AliveBytes()
        for tensor in (*self.model.parameters(), *self.model.buffers(), *self.inputs.values()):
            alive.leave_out(tensor)

        def note_activations(*_) -> None:
            self.activations = alive.now

        handle = self.model.lm_head.register_forward_pre_hook(note_activations)
        with forward_on_meta(self._layout), alive:
            try:
                yield alive
            finally:
                handle.remove()


def _config(name: str, layers: int | None) -> Any:
    model_type, sizes = CONFIGS[name]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    config: Any = AutoConfig.for_model(
        model_type, **{**sizes, "text_config": {**sizes["text_config"], "rope_parameters": rope}}
    )
    config._attn_implementation = "sdpa"  # from_config refuses flash_attention_2 where it is not installed
    if layers:
        config.text_config.num_hidden_layers = config.vision_config.depth = layers
    return config
