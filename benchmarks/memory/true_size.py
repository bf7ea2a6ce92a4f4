"""Peak memory of Qwen2.5-VL at its published sizes, on a machine that could not hold one of its layers.

Everything is on the meta device: shapes, dtypes and autograd are real, numbers do not exist. The forward is verl's own,
of packed rows, and the entropy verl's own; what a CPU build cannot run is stood in for by what it keeps and returns:

- FlashAttention saves queries, keys, values, the output and a float32 for each row and head;
- its cross-entropy saves the logits and writes their gradient beside them, or over them;
- verl's compiled entropy saves the logits and makes their gradient alone (``test_entropy_memory.py``);
- CUDA's autocast computes softmax, logsumexp and sum in float32 (``cuda_autocast``);
- FSDP2 reduces the gradients of a layer when it has all of them, and those outside the layers at the end.

Weights are whole and not counted: FSDP's share of the memory is arithmetic, in ``verl_plugins/plan/memory.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from unittest import mock

import torch
from alive_bytes import AliveBytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen
from verl.models.transformers import qwen2_vl
from verl.utils import torch_functional

from verl_plugins.components import counterfactual
from verl_plugins.components.hidden_states import before_projection
from verl_plugins.kernels.divergence import Divergence
from verl_plugins.methods.saei import attack as adversarial
from verl_plugins.plan import memory
from verl_plugins.plan.models import CONFIGS
from verl_plugins.plan.shape import Shape
from verl_plugins.plan.workload import Workload

TOKENS = 12288  # of a micro-batch: the recipes' MAX_TOKENS
IMAGES, GRID = 8, (70, 72)  # of 980 x 1008 pixels each: what the processor makes of a megapixel
RESPONSE_TOKENS = 2048  # what the images leave of TOKENS

Entropy = Literal["none", "compiled", "eager", "chunked"]  # the last two are verl's functions without torch.compile
ENTROPIES: tuple[Entropy, ...] = ("compiled", "eager", "chunked")


@dataclass(frozen=True)
class Case:
    """What is measured: a phase of a step, and how it is run."""

    phase: Literal["update", "attack", "counterfactual", "log_probs"]
    entropy: Entropy = "none"
    is_entropy_recomputed: bool = False
    is_vision_frozen: bool = False
    is_checkpointed: bool = True

    def __str__(self) -> str:
        flags = [f"{self.entropy} entropy"] * (self.entropy != "none")
        flags += ["recomputed"] * self.is_entropy_recomputed + ["vision frozen"] * self.is_vision_frozen
        return ", ".join([self.phase, *flags, *["not checkpointed"] * (not self.is_checkpointed)])


CASES = [
    Case("update"),
    Case("update", is_checkpointed=False),
    Case("update", is_vision_frozen=True),
    Case("update", is_vision_frozen=True, is_checkpointed=False),
    Case("update", "compiled"),
    *(Case("update", kind, again, is_vision_frozen=True) for kind in ENTROPIES for again in (False, True)),
    Case("attack"),
    Case("attack", is_checkpointed=False),
    Case("counterfactual"),
    *(Case("log_probs", kind) for kind in ENTROPIES),
]


@dataclass(frozen=True)
class Peak:
    """Bytes, without weights and inputs.

    Args:
        activations: kept by the layers when the forward reaches the projection to the vocabulary.
        peak: the most at once.
    """

    activations: int
    peak: int


def predicted(shape: Shape, case: Case) -> Peak:
    """The planner's bytes for a case, without what FSDP2 adds: gathered weights, and gradients once more in float32."""
    load = Workload(
        gpus=1,
        gpus_of_a_node=1,
        methods=("vepo",) if case.phase == "counterfactual" else (),
        tokens=TOKENS,
        log_prob_tokens=TOKENS,
        image_pixels=GRID[0] * GRID[1] * shape.patch**2,
        is_checkpointed=case.is_checkpointed,
        is_vision_frozen=case.is_vision_frozen,
        has_entropy_loss=case.entropy != "none",
        is_entropy_compiled=case.entropy == "compiled",
        is_entropy_chunked=case.entropy == "chunked",
        is_entropy_recomputed=case.is_entropy_recomputed,
    )
    phase = {"update": memory.update, "attack": memory.attack}.get(case.phase, memory.forward)(shape, load)
    gradients = phase["gathered gradients"] - 4 * shape.text.parameters if case.phase == "update" else 0
    return Peak(phase["activations"], phase["activations"] + phase["logits, or a layer"] + gradients)


class TrueSize:
    """A model of ``verl_plugins.plan.models.CONFIGS`` and a packed micro-batch of TOKENS.

    Args:
        layers: of the language model and of the vision tower each; by default those of the model. What they keep grows
            in proportion, and the time that a measurement takes.
    """

    def __init__(self, name: str, is_checkpointed: bool = True, layers: int | None = None):
        config = _config(name, layers)
        real_grid = torch.tensor([[1, *GRID]] * IMAGES)
        vision = config.vision_config
        merge, patch, window = vision.spatial_merge_size, vision.patch_size, vision.window_size
        self._layout = {  # of the grid's numbers, which the meta device does not have
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
            self.at = torch.empty(RESPONSE_TOKENS, dtype=torch.long)
            self.temperature = torch.empty(RESPONSE_TOKENS)
        for module in self.model.modules():
            if hasattr(module, "config"):
                module.config._attn_implementation_internal = "flash_attention_2"
        if is_checkpointed:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
            self.model.disable_input_require_grads()  # else a frozen vision tower would have a backward

    def measure(self, case: Case) -> Peak:
        """The bytes of a case, which must be checkpointed as this model is."""
        if case.phase == "update":
            return self.update(case)
        return self.log_probs(case.entropy) if case.phase == "log_probs" else getattr(self, case.phase)()

    def update(self, case: Case) -> Peak:
        """Forward and backward of verl's loss."""
        self.model.train().requires_grad_(True)
        self.model.model.visual.requires_grad_(not case.is_vision_frozen)
        with self._counting() as alive, _reduced_gradients(self.model):
            with cuda_autocast():
                logits = self.model(**self.inputs, use_cache=False).logits.squeeze(0)
                loss = _loss(logits, case.entropy, case.is_entropy_recomputed)
            del logits
            loss.backward()
            self.model.zero_grad()
        return Peak(self.activations, alive.peak)

    def log_probs(self, entropy: Entropy) -> Peak:
        """verl's forward for the old log-probabilities and their entropy."""
        self.model.eval()
        with self._counting() as alive, torch.no_grad(), cuda_autocast():
            _loss(self.model(**self.inputs, use_cache=False).logits.squeeze(0), entropy, is_recomputed=False)
        return Peak(self.activations, alive.peak)

    def counterfactual(self) -> Peak:
        """vepo's two forwards and the divergences of what they predict."""
        self.model.eval()
        hidden: list[Tensor] = []
        ones = torch.ones(RESPONSE_TOKENS)  # temperatures, with numbers, because it is asked whether they are 1

        def keep(states: Tensor) -> None:
            hidden.append(states[self.at])

        def compare(states: Tensor) -> None:
            pair = hidden[0], states[self.at]
            counterfactual.project_and_compare(self.model.lm_head, *pair, self.at, ones)

        with self._counting() as alive, torch.no_grad(), cuda_autocast():
            for visit in (keep, compare):
                with before_projection(self.model.lm_head, visit):
                    self.model(**self.inputs, use_cache=False)
        return Peak(self.activations, alive.peak)

    def attack(self) -> Peak:
        """saei's forward and backward to the pixels; a third of the response's tokens are selected."""
        self.model.train().requires_grad_(False)
        pixels = self.inputs["pixel_values"].detach().requires_grad_()
        chosen = self.at[: RESPONSE_TOKENS // 3]
        temperature = self.temperature[: len(chosen)]

        def visit(states: Tensor) -> Tensor:
            head, states = self.model.lm_head, states[self.at]
            adversarial.entropy_and_gradient(head, states.detach(), self.temperature)
            states = states[chosen]
            _, gradient = adversarial.entropy_and_gradient(head, states.detach(), temperature, temperature)
            return (states * gradient).sum().reshape(1, 1, 1)

        with self._counting() as alive:
            with cuda_autocast(), before_projection(self.model.lm_head, visit):
                inputs = {**self.inputs, "pixel_values": pixels}
                output = self.model(**inputs, use_cache=False)
            torch.autograd.grad(output.logits.sum(), pixels)
        return Peak(self.activations, alive.peak)

    @contextmanager
    def _counting(self) -> Iterator[AliveBytes]:
        """Everything stood in for, and bytes counted; ``self.activations`` is set when the projection is reached."""
        alive = AliveBytes()
        for tensor in (*self.model.parameters(), *self.model.buffers(), *self.inputs.values()):
            alive.leave_out(tensor)

        def reached(*_) -> None:
            self.activations = alive.now

        handle = self.model.lm_head.register_forward_pre_hook(reached)
        with stand_ins(self._layout), alive:
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


def _loss(logits: Tensor, entropy: Entropy, is_recomputed: bool) -> Tensor:
    """What verl's ``prepare_model_outputs`` makes of (T, V) logits at temperature 1, summed."""
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "compiled": _CompiledEntropy.apply,  # pyright: ignore[reportAssignmentType]
        "eager": _under_autocast(torch_functional.entropy_from_logits),
        "chunked": _under_autocast(torch_functional.entropy_from_logits_with_chunking),
    }
    total = logits.new_zeros(())
    if entropy != "none":
        function = functions[entropy]
        # verl does not pass use_reentrant, which is then True
        values: Any = checkpoint(function, logits, use_reentrant=True) if is_recomputed else function(logits)
        total = total + values.sum()
    log_probs: Any = _CrossEntropy.apply(logits, entropy == "none")
    return total + log_probs.sum()


@contextmanager
def stand_ins(layout: dict[str, Any]) -> Iterator[None]:
    """Within, Qwen2.5-VL runs verl's forward of packed rows on the meta device."""

    def on_meta(found: Any) -> Callable[..., Any]:
        tensors = tuple(t.to("meta") for t in found) if isinstance(found, tuple) else found.to("meta")
        return lambda *_, **__: tensors

    patches = [
        mock.patch.object(qwen.Qwen2_5_VLModel, "forward", qwen2_vl.qwen2_vl_base_forward),
        mock.patch.object(qwen.Qwen2_5_VLForConditionalGeneration, "forward", qwen2_vl.forward_with_normal_backend),
        mock.patch.object(qwen.Qwen2_5_VLAttention, "forward", qwen2_vl.qwen2_vl_attn_forward),
        mock.patch.object(qwen, "create_causal_mask", lambda **_: None),
        mock.patch.object(qwen2_vl, "_get_input_embeds", _input_embeddings),
        mock.patch.object(qwen2_vl, "_custom_flash_attention_forward", _flash_attention),
        mock.patch.object(qwen2_vl, "_flash_use_top_left_mask", False, create=True),
        mock.patch.dict(ALL_ATTENTION_FUNCTIONS._global_mapping, {"flash_attention_2": _vision_flash_attention}),
        mock.patch.object(counterfactual, "divergence", lambda clean, *_: Divergence(*_numbers(5, len(clean)))),
        *(mock.patch.object(qwen, name, on_meta(found)) for name, found in layout.items()),
    ]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


@contextmanager
def _reduced_gradients(model: nn.Module) -> Iterator[None]:
    """Free the gradients of a layer when it has all of them, as FSDP2's reduction does."""
    with ExitStack() as stack:
        for layer in (*model.model.language_model.layers, *model.model.visual.blocks):
            parameters = [parameter for parameter in layer.parameters() if parameter.requires_grad]

            def reduce(_, parameters=parameters) -> None:
                if all(parameter.grad is not None for parameter in parameters):
                    for parameter in parameters:
                        parameter.grad = None

            for parameter in parameters:
                stack.callback(parameter.register_post_accumulate_grad_hook(reduce).remove)
        yield


class _CudaAutocast(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.bfloat16:
            if func in (torch.sum, torch.Tensor.sum, nn.functional.softmax):
                kwargs = {**kwargs, "dtype": torch.float32}
            elif func is torch.logsumexp:
                args = (args[0].float(), *args[1:])
        return func(*args, **kwargs)


def cuda_autocast() -> TorchFunctionMode:
    """What ``torch.autocast("cuda", torch.bfloat16)`` does to the functions that verl's entropy calls.

    Of the functions that it computes in float32, ``sum`` and ``softmax`` get the dtype as an argument, ``logsumexp`` a
    converted input. The rest of Qwen2.5-VL has bfloat16 weights and converts explicitly, or does not call them.
    """
    return _CudaAutocast()


def _under_autocast(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """For a function that is called again in the backward, which restores autocast for it, but not this stand-in."""

    def call(logits: Tensor) -> Tensor:
        with cuda_autocast():
            return function(logits)

    return call


class _Flash(torch.autograd.Function):
    """flash-attn's attention of (tokens, heads, head size) queries, keys and values."""

    @staticmethod
    def forward(ctx, queries, keys, values):
        output = torch.empty_like(queries)
        log_sums = queries.new_empty(queries.shape[1], queries.shape[0], dtype=torch.float32)
        ctx.save_for_backward(queries, keys, values, output, log_sums)
        return output

    @staticmethod
    def backward(ctx, *_):
        return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


class _CrossEntropy(torch.autograd.Function):
    """flash-attn's cross-entropy of (tokens, vocabulary) logits."""

    @staticmethod
    def forward(ctx, logits, is_in_place):
        ctx.save_for_backward(logits)
        ctx.is_in_place = is_in_place
        return logits.new_empty(logits.shape[0], dtype=torch.float32)

    @staticmethod
    def backward(ctx, *_):
        (logits,) = ctx.saved_tensors
        return (logits if ctx.is_in_place else torch.empty_like(logits)), None


class _CompiledEntropy(torch.autograd.Function):
    """torch.compile's code for ``entropy_from_logits``."""

    @staticmethod
    def forward(ctx, logits):
        ctx.save_for_backward(logits)
        return logits.new_empty(logits.shape[0], dtype=torch.float32)

    @staticmethod
    def backward(ctx, *_):
        (logits,) = ctx.saved_tensors
        return torch.empty_like(logits)


def _flash_attention(queries, keys, values, *_, **__) -> Any:
    """(1, tokens, heads, head size), in verl's forward of the language model."""
    return _Flash.apply(queries[0], keys[0], values[0])[None]  # pyright: ignore[reportOptionalSubscript]


def _vision_flash_attention(module, queries, keys, values, *_, **__) -> Any:
    """(1, heads, tokens, head size), in Transformers' forward of the vision tower."""
    output: Any = _Flash.apply(*(tensor.transpose(1, 2).squeeze(0) for tensor in (queries, keys, values)))
    return output.unsqueeze(0), None


def _input_embeddings(model, input_ids, attention_mask=None, pixel_values=None, *_, **__) -> Any:
    """verl's, without the check that compares numbers of tokens."""
    embeddings = model.get_input_embeddings()(input_ids)
    images, _ = qwen2_vl.unpack_visual_output(model.visual(pixel_values.type(torch.bfloat16), grid_thw=None))
    mask = (input_ids == model.config.image_token_id).unsqueeze(-1).expand_as(embeddings)
    return embeddings.masked_scatter(mask, images.to(embeddings.dtype)), None


def _numbers(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")
