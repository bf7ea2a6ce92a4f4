"""verl's forward of packed rows through Qwen2.5-VL, and FSDP2's reduction of gradients, on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen
from verl.models.transformers import qwen2_vl

from memory.stand_in_kernels import FlashAttention
from verl_plugins.components import counterfactual
from verl_plugins.kernels.divergence import Divergence


@contextmanager
def forward_on_meta(layout: dict[str, Any]) -> Iterator[None]:
    """Let Qwen2.5-VL run verl's forward of packed rows on the meta device.

    Args:
        layout: name of a function of Transformers' ``modeling_qwen2_5_vl`` -> its result for the images' true grid,
            because a grid on the meta device has no numbers.
    """

    def on_meta(result: Any) -> Callable[..., Any]:
        tensors = tuple(t.to("meta") for t in result) if isinstance(result, tuple) else result.to("meta")
        return lambda *_, **__: tensors

    patches = [
        mock.patch.object(qwen.Qwen2_5_VLModel, "forward", qwen2_vl.qwen2_vl_base_forward),
        mock.patch.object(qwen.Qwen2_5_VLForConditionalGeneration, "forward", qwen2_vl.forward_with_normal_backend),
        mock.patch.object(qwen.Qwen2_5_VLAttention, "forward", qwen2_vl.qwen2_vl_attn_forward),
        mock.patch.object(qwen, "create_causal_mask", lambda **_: None),
        mock.patch.object(qwen2_vl, "_get_input_embeds", _input_embeddings),
        mock.patch.object(qwen2_vl, "_custom_flash_attention_forward", _text_attention),
        mock.patch.object(qwen2_vl, "_flash_use_top_left_mask", False, create=True),
        mock.patch.dict(ALL_ATTENTION_FUNCTIONS._global_mapping, {"flash_attention_2": _vision_attention}),
        mock.patch.object(counterfactual, "divergence", lambda clean, *_: Divergence(*_meta_tensor(5, len(clean)))),
        *(mock.patch.object(qwen, name, on_meta(result)) for name, result in layout.items()),
    ]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


@contextmanager
def gradients_reduced_by_layer(model: nn.Module) -> Iterator[None]:
    """Free the gradients of a layer once it has all of them, as FSDP2's reduction does."""
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


def _text_attention(queries, keys, values, *_, **__) -> Any:
    """Attention of verl's language model, on tensors of shape (1, tokens, heads, head size)."""
    return FlashAttention.apply(queries[0], keys[0], values[0])[None]  # pyright: ignore[reportOptionalSubscript]


def _vision_attention(module, queries, keys, values, *_, **__) -> Any:
    """Attention of Transformers' vision tower, on tensors of shape (1, heads, tokens, head size)."""
    output: Any = FlashAttention.apply(*(tensor.transpose(1, 2).squeeze(0) for tensor in (queries, keys, values)))
    return output.unsqueeze(0), None


def _input_embeddings(model, input_ids, attention_mask=None, pixel_values=None, *_, **__) -> Any:
    """verl's ``_get_input_embeds`` without its comparison of token counts, which needs numbers."""
    embeddings = model.get_input_embeddings()(input_ids)
    images, _ = qwen2_vl.unpack_visual_output(model.visual(pixel_values.type(torch.bfloat16), grid_thw=None))
    mask = (input_ids == model.config.image_token_id).unsqueeze(-1).expand_as(embeddings)
    return embeddings.masked_scatter(mask, images.to(embeddings.dtype)), None


def _meta_tensor(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")
