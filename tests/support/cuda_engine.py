"""The engine around a tiny model as on a GPU, which ``pretended_cuda`` stands in for, and runs of its two hooks.

A batch comes from the host and the model is on ``cuda:0``. As in verl's workers, FSDP2 moves and casts the model's
inputs, the forward is verl's own, attention is flash-attn's (stand-ins with the kernel's demands, for the language
model and the vision tower), and in bfloat16 it runs under ``autocast("cuda")``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, partial
from types import SimpleNamespace
from unittest import mock

import tiny_families
import torch
from bare_engine import bare_engine
from pretended_cuda import DEVICE, pretended_cuda
from tiny_engine import micro_batch
from torch.distributed.fsdp._fully_shard._fsdp_common import _cast_fp_tensor
from torch.distributed.utils import _apply_to_tensors, _to_kwargs
from transformers import AutoModelForImageTextToText, modeling_flash_attention_utils
from verl.models.transformers import qwen2_vl
from verl.utils import device as verl_device
from verl.utils import tensordict_utils as tu
from verl.utils.fsdp_utils import _select_fsdp2_wrap_targets
from verl_forwards import patch_as_verl_does

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.kernels import divergence_triton
from verl_plugins.kernels.divergence import divergence_torch
from verl_plugins.methods.saei.attack import AttackRequest, adversarial_images
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import PIXELS, STATISTICS
from verl_plugins.vision.perturb import PERTURBATIONS

# Factor of a random model's logits: with others it hardly looks at its image, or is sure of every token.
SHARPNESS = {"qwen2_5_vl": 1, "qwen3_vl": 4, "qwen3_5": 4, "internvl3": 4}


@cache
def tiny_model(family):
    """(model, processor), float32 on the host."""
    config, processor = tiny_families.FAMILIES[family]()
    if family == "qwen2_5_vl":
        config.text_config.num_hidden_layers = config.vision_config.depth = 2  # the demo's model has 4 of each
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(SHARPNESS[family])
    return model, processor


def batch_on_the_host(family, with_image=(1, 1, 1, 1), lengths=(6, 9, 4, 1), packed=False):
    """Rows as verl's workers get them: responses of these lengths, two to a prompt."""
    data, rows, _ = micro_batch(tiny_model(family)[1], with_image, lengths, temperature=0.7)
    if family == "internvl3":  # positions of one dimension, not Qwen's four
        positions = [torch.arange(len(ids)) for ids, _, _ in rows]
        data["position_ids"] = torch.nested.as_nested_tensor(positions, layout=torch.jagged)
    tu.assign_non_tensor(data, use_remove_padding=packed)
    return data


def run_counterfactual(engine, data, kind="gaussian"):
    """{signal: (tokens of the batch,)}"""
    request = Counterfactual(kind, PERTURBATIONS[kind].default, seed=3, step=5)
    tu.assign_non_tensor(data, verl_plugins_request=request)
    with torch.no_grad():
        outcome = engine.forward_step(data, None, forward_only=True)[1]["model_output"]
    return {name: nested.values() for name, nested in outcome.items()}


def run_attack(engine, data, **settings):
    """{what: of the batch}"""
    outcome = adversarial_images(engine, data, AttackRequest(SaEIConfig(**settings), seed=3, step=5))["model_output"]
    return {"pixels": outcome[PIXELS].values(), "statistics": outcome[STATISTICS]}


def verl_runs_on(device_name):
    """Replace what verl's ``get_device_name`` and ``get_device_id`` return, wherever they have been imported."""
    current = DEVICE.index if device_name == "cuda" else device_name
    platform = SimpleNamespace(device_name=device_name, current_device=lambda: current)
    return mock.patch.object(verl_device, "get_platform", lambda: platform)


class FlashAttention:
    """flash-attn's two functions in plain operators, with the demands that its CUDA kernel makes of its arguments.

    Args:
        dtype: the one that it takes: bfloat16 as the kernel, or float32 to compare numbers.
    """

    def __init__(self, dtype):
        self.dtype = dtype
        self.seen = set()  # "causal": the language model, "full": the vision tower

    def dense(
        self,
        q,
        k,
        v,
        dropout_p=0.0,
        softmax_scale=None,
        causal=False,
        window_size=(-1, -1),
        softcap=0.0,
        deterministic=False,
    ):
        """(rows, tokens, heads, head size) each."""
        tokens = q.shape[1]
        return self._attend(q, k, v, softmax_scale, causal, torch.ones(tokens, tokens, dtype=torch.bool))

    def packed(
        self,
        q,
        k,
        v,
        cu_seqlens_q,
        cu_seqlens_k,
        max_seqlen_q,
        max_seqlen_k,
        dropout_p=0.0,
        softmax_scale=None,
        causal=False,
        window_size=(-1, -1),
        softcap=0.0,
        deterministic=False,
    ):
        """(tokens of all rows, heads, head size) each; a row's tokens attend to each other."""
        for starts in (cu_seqlens_q, cu_seqlens_k):
            if starts.dtype != torch.int32 or not starts.is_cuda:
                raise RuntimeError(f"cu_seqlens: got {starts.dtype} on {starts.device}, expected int32 on CUDA")
        lengths = cu_seqlens_q.inner.diff()  # the kernel reads them where they are
        row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        return self._attend(q, k, v, softmax_scale, causal, row[:, None] == row)

    def _attend(self, q, k, v, softmax_scale, causal, mask):
        for states in (q, k, v):
            if not states.is_cuda or states.stride(-1) != 1:
                raise RuntimeError("FlashAttention: expected tensors on CUDA with a contiguous last dimension")
            if states.dtype != self.dtype:
                raise RuntimeError(f"FlashAttention: got {q.dtype}, {k.dtype}, {v.dtype}, expected {self.dtype}")
        self.seen.add("causal" if causal else "full")
        k, v = (states.repeat_interleave(q.shape[-2] // states.shape[-2], dim=-2) for states in (k, v))
        queries, keys, values = (states.transpose(-3, -2).float() for states in (q, k, v))
        scores = queries @ keys.transpose(-2, -1) * (softmax_scale or q.shape[-1] ** -0.5)
        hidden = type(q)(~(mask.tril() if causal else mask))
        return (scores.masked_fill(hidden, -torch.inf).softmax(-1) @ values).transpose(-3, -2).to(q.dtype)

    def install(self, monkeypatch):
        """Stand-in for the package, which needs a GPU, for Transformers and for verl."""
        utils = modeling_flash_attention_utils
        for module, names in (
            (utils, {"_loaded_implementation": "flash_attention_2"}),
            (utils, {"_flash_fn": self.dense, "_flash_varlen_fn": self.packed}),
            (utils, {"_pad_fn": utils._pad_input, "_unpad_fn": utils._unpad_input}),
            (utils, {"_process_flash_kwargs_fn": utils._lazy_define_process_function(self.packed)}),
            (qwen2_vl, {"flash_attn_varlen_func": self.packed, "_flash_use_top_left_mask": False}),
            (qwen2_vl, {"_flash_supports_window_size": True, "_flash_supports_deterministic": True}),
        ):
            for name, value in names.items():
                monkeypatch.setattr(module, name, value, raising=False)
        if self.dtype == torch.float32:  # which verl would cast to bfloat16
            monkeypatch.setattr(qwen2_vl, "fa_peft_integration_check", lambda *qkv, **_: qkv)


def wrap_as_fsdp2_does(model, dtype):
    """FSDP2 with verl's mixed precision: weights in ``dtype``, inputs of the model on the device, and of every module
    that verl wraps in ``dtype``."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)

    def cast(_, args, kwargs):
        return tuple(_apply_to_tensors(partial(_cast_fp_tensor, dtype), inputs) for inputs in (args, kwargs))

    def to_device(_, args, kwargs):
        args, kwargs = _to_kwargs(args, kwargs, DEVICE, False)
        return args[0], kwargs[0]

    for module in (model, *_select_fsdp2_wrap_targets(model, model._no_split_modules)):
        module.register_forward_pre_hook(cast, with_kwargs=True, prepend=True)
    model.register_forward_pre_hook(to_device, with_kwargs=True, prepend=True)


def triton_kernel(logits, perturbed_logits, scale, floor):
    """``divergence_triton`` in plain operators; its own numbers are ``test_divergence``'s affair."""
    for tensor in (logits, perturbed_logits, scale):
        if not tensor.is_cuda:
            raise ValueError("Pointer argument cannot be accessed from Triton (cpu tensor?)")
    assert logits.dtype == perturbed_logits.dtype and scale.dtype == torch.float32
    return type(logits)(torch.stack(divergence_torch(logits.inner, perturbed_logits.inner, scale.inner)))


@contextmanager
def engine_on_gpu(
    monkeypatch, family, dtype=torch.float32, backward=False, checkpointing=False
) -> Iterator[SimpleNamespace]:
    """The engine around a copy of the tiny model, the device, and flash-attn's stand-in."""
    model, processor = tiny_model(family)
    model, flash = deepcopy(model), FlashAttention(dtype)
    patch_as_verl_does(monkeypatch, model, use_remove_padding=True)
    flash.install(monkeypatch)
    monkeypatch.setattr(divergence_triton, "divergence_triton", triton_kernel)
    for part in model.modules():
        if hasattr(part, "config"):
            part.config._attn_implementation = "flash_attention_2"
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    wrap_as_fsdp2_does(model, dtype)
    engine = bare_engine(model, processor, micro_batch_size=2)
    engine._autocast_dtype = dtype
    engine.model_config.enable_gradient_checkpointing = checkpointing
    with pretended_cuda(backward) as cuda, verl_runs_on("cuda"):
        cuda.move(model)
        yield SimpleNamespace(engine=engine, cuda=cuda, flash=flash)
