"""The engine's two hooks as on a GPU, which ``pretended_cuda`` stands in for.

A batch comes from the host and the model is on ``cuda:0``. As in verl's workers, FSDP2 moves and casts the model's
inputs, the forward is verl's own, attention is flash-attn's (stand-ins with the kernel's demands, for the language
model and the vision tower), and in bfloat16 it runs under ``autocast("cuda")``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import tiny_families
import torch
from bare_engine import bare_engine
from pretended_cuda import DEVICE, DifferentiableTensor, pretended_cuda
from tiny_engine import micro_batch
from torch.distributed.fsdp._fully_shard._fsdp_common import _cast_fp_tensor
from torch.distributed.utils import _apply_to_tensors, _to_kwargs
from transformers import AutoModelForImageTextToText, modeling_flash_attention_utils
from verl.models.transformers import qwen2_vl
from verl.utils import device as verl_device
from verl.utils import tensordict_utils as tu
from verl.utils.fsdp_utils import _select_fsdp2_wrap_targets
from verl_forwards import patch_as_verl_does

import verl_plugins
from verl_plugins.components import counterfactual, hidden_states
from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.components.hidden_states import Predictions
from verl_plugins.kernels import divergence_triton
from verl_plugins.kernels.divergence import Divergence, divergence_torch
from verl_plugins.methods.saei import attack as adversarial
from verl_plugins.methods.saei.attack import AttackRequest, adversarial_images
from verl_plugins.methods.saei.attacked_images import AttackedImages
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import PIXELS, STATISTICS
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import PERTURBATIONS, perturb

PACKAGE = str(Path(verl_plugins.__file__).parent)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
PACKING = pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
FAMILIES = pytest.mark.parametrize("family", tiny_families.FAMILIES)

# Factor of a random model's logits: with others it hardly looks at its image, or is sure of every token.
SHARPNESS = {"qwen2_5_vl": 1, "qwen3_vl": 4, "qwen3_5": 4, "internvl3": 4}

# Largest error in bfloat16, about three times what was measured: absolute, and a share of the signal's largest value.
BFLOAT16_ERROR = {
    "log_probs": (0.08, 0),
    "entropy": (0.08, 0),
    "perturbed_entropy": (0.08, 0),
    "jsd": (3e-4, 0.03),
    "kl": (1.2e-3, 0.03),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


@pytest.fixture(scope="module")
def expected():
    """Return what the hooks compute on the CPU, in float32 and on padded rows; computed before a test patches the
    models."""
    results = {}
    for family in tiny_families.FAMILIES:
        engine = bare_engine(*tiny_model(family), micro_batch_size=2)
        with verl_runs_on("cpu"):
            results["counterfactual", family] = run_counterfactual(engine, batch_on_the_host(family, (1, 1, 0, 1)))
            results["attack", family] = run_attack(engine, batch_on_the_host(family))
            random = run_attack(engine, batch_on_the_host(family), direction="random")
            results["random attack", family] = random
    return results


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


@FAMILIES
@PACKING
@DTYPES
def test_counterfactual_forward_gives_the_numbers_of_the_cpu(monkeypatch, expected, family, packed, dtype):
    data = batch_on_the_host(family, (1, 1, 0, 1), packed=packed)
    with engine_on_gpu(monkeypatch, family, dtype) as gpu:
        outcome = run_counterfactual(gpu.engine, data)
        assert {values.device for values in outcome.values()} == {DEVICE}
        outcome = {name: values.inner for name, values in outcome.items()}
    assert gpu.flash.seen == {"causal", "full"}
    for name, wanted in expected["counterfactual", family].items():
        if dtype == torch.float32:
            torch.testing.assert_close(outcome[name], wanted, rtol=1e-4, atol=1e-6)
        else:
            absolute, share = BFLOAT16_ERROR[name]
            assert (outcome[name] - wanted).abs().max() < absolute + share * wanted.max(), name
    assert expected["counterfactual", family]["jsd"].max() > 5e-4  # the image matters: the comparison means something


@FAMILIES
@PACKING
@DTYPES
def test_attack_gives_the_pictures_of_the_cpu(monkeypatch, expected, family, packed, dtype):
    data = batch_on_the_host(family, packed=packed)
    with engine_on_gpu(monkeypatch, family, dtype, backward=True, checkpointing=packed) as gpu:
        outcome = run_attack(gpu.engine, data)
    assert gpu.flash.seen == {"causal", "full"}
    assert gpu.cuda.numbers_drawn_on_host == 0
    assert {values.device.type for values in outcome.values()} == {"cpu"}
    wanted = expected["attack", family]
    same = (outcome["pixels"] == wanted["pixels"]).float().mean()
    before, after, change = (outcome["statistics"] - wanted["statistics"]).abs().amax(dim=0)
    if dtype == torch.float32:
        assert same > 0.999  # the rest: pixels whose gradient is rounding
        assert max(before, after, change) < 1e-4
    else:  # measured: 0.988, 0.016, 0.012 and 0.0006
        assert same > 0.9
        assert before < 0.08 and after < 0.08 and change < 0.002
    assert (outcome["statistics"][:, 1] > outcome["statistics"][:, 0]).all()


@FAMILIES
def test_attack_measures_the_entropies_of_the_cpu_under_autocast(monkeypatch, expected, family):
    """Random signs, hence forwards alone: ``autocast("cuda")`` casts only where no backward runs."""
    data = batch_on_the_host(family, packed=True)
    with engine_on_gpu(monkeypatch, family, torch.bfloat16) as gpu:
        outcome = run_attack(gpu.engine, data, direction="random")
    wanted = expected["random attack", family]
    assert torch.equal(outcome["pixels"], wanted["pixels"])
    torch.testing.assert_close(outcome["statistics"], wanted["statistics"], rtol=0, atol=0.08)


# A tensor that an edit could forget to move, by what it does to a function's result or arguments.


def change_result(owner, name, change):
    def plant(monkeypatch):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: change(original(*args)))

    return plant


def change_arguments(owner, name, change):
    def plant(monkeypatch):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: original(*change(*args)))

    return plant


def leave_on_the_host(field):
    """Plant a CPU tensor in a field of ``Predictions``."""
    return change_result(Predictions, "of", lambda at: dataclasses.replace(at, **{field: getattr(at, field).cpu()}))


COUNTERFACTUAL_FAULTS = {
    "temperature": leave_on_the_host("temperature"),
    "labels": leave_on_the_host("labels"),
    "hidden states": change_arguments(
        counterfactual, "project_and_compare", lambda head, clean, *rest: (head, clean.cpu(), *rest)
    ),
    "perturbed logits": change_arguments(
        counterfactual, "divergence", lambda logits, perturbed: (logits, perturbed.cpu())
    ),
    "divergences": change_result(counterfactual, "divergence", lambda outcome: Divergence(*(x.cpu() for x in outcome))),
}
ATTACK_FAULTS = {
    "temperature": leave_on_the_host("temperature"),
    "rows": leave_on_the_host("rows"),
    "noise": change_result(adversarial, "_noise", lambda noise: noise.cpu()),
    "mask": change_arguments(adversarial, "select_tokens", lambda entropy, mask, *rest: (entropy, mask.cpu(), *rest)),
    "selected tokens": change_result(adversarial, "select_tokens", lambda selected: selected.cpu()),
    "weight": change_arguments(
        adversarial,
        "entropy_and_gradient",
        lambda *args: args if len(args) < 4 or args[3] is None else (*args[:3], args[3].cpu()),
    ),
    "gradient on the device": change_arguments(
        AttackedImages, "add_gradient", lambda images, uids, gradient: (images, uids, gradient.to("cuda"))
    ),
    "nothing brought back": lambda monkeypatch: monkeypatch.setattr(DifferentiableTensor, "cpu", lambda self: self),
}


def is_refused():
    return pytest.raises(
        (RuntimeError, ValueError), match="on the same device|indices should be|cannot be accessed from Triton"
    )


@pytest.mark.parametrize("fault", COUNTERFACTUAL_FAULTS)
def test_a_tensor_that_the_counterfactual_forward_forgets_to_move_is_found(monkeypatch, fault):
    COUNTERFACTUAL_FAULTS[fault](monkeypatch)
    data = batch_on_the_host("internvl3")
    with engine_on_gpu(monkeypatch, "internvl3") as gpu, is_refused():
        run_counterfactual(gpu.engine, data)


@pytest.mark.parametrize("fault", ATTACK_FAULTS)
def test_a_tensor_that_the_attack_forgets_to_move_is_found(monkeypatch, fault):
    ATTACK_FAULTS[fault](monkeypatch)
    data = batch_on_the_host("internvl3")
    with engine_on_gpu(monkeypatch, "internvl3", backward=True) as gpu, is_refused():
        run_attack(gpu.engine, data, band="random")


# Host synchronisations. Indices on the host are no error on a GPU, but they cost one.

SHORT, LONG = (6, 9, 4, 1), (18, 27, 12, 3)


def synchronisations(monkeypatch, hook, lengths):
    """(all of one call's, those of this package's own lines), projecting three tokens at a time."""
    data = batch_on_the_host("internvl3", lengths=lengths)
    monkeypatch.setattr(hidden_states, "CHUNK", 3 * tiny_model("internvl3")[0].lm_head.out_features)
    with engine_on_gpu(monkeypatch, "internvl3", backward=hook is run_attack) as gpu:
        if hook is run_attack:
            monkeypatch.setattr(hidden_states, "CHUNK", 4 * hidden_states.CHUNK)  # of which it takes a quarter
            hook(gpu.engine, data, band="random")
            assert gpu.cuda.numbers_drawn_on_host == 2 * sum(lengths)  # ``_noise``, before and after the step
        else:
            hook(gpu.engine, data)
    every = gpu.cuda.synchronisations
    return every, [sync for sync in every if sync.file.startswith(PACKAGE) and not sync.in_backward]


def test_synchronisations_of_the_counterfactual_forward(monkeypatch):
    """Count the synchronisations allowed in a micro-batch: the number of response tokens, the temperature, whether it
    is 1, and each prompt's image on its way down.
    """
    (short, own), (long, _) = (synchronisations(monkeypatch, run_counterfactual, n) for n in (SHORT, LONG))
    assert len(own) <= 3 + 2, own
    assert not any(sync.operator.startswith("index") for sync in own)
    assert len(long) == len(short)


def test_synchronisations_of_the_attack(monkeypatch):
    """Count the synchronisations allowed in each run of a micro-batch: the number of response tokens, the temperature,
    noise for the band "random", what ``selected`` picks of rows, states and temperatures, and the entropies on their
    way up; with a gradient also the states for its hook, and the gradient on its way up.
    """
    (short, own), (long, _) = (synchronisations(monkeypatch, run_attack, n) for n in (SHORT, LONG))
    assert len(own) <= 2 * (9 + 7), own  # two micro-batches of two rows, before the step and after
    assert len(long) == len(short)


@pytest.mark.parametrize("field", ["positions", "packed"])
def test_an_index_left_on_the_host_costs_synchronisations(monkeypatch, field):
    leave_on_the_host(field)(monkeypatch)
    _, own = synchronisations(monkeypatch, run_counterfactual, SHORT)
    assert any(sync.operator.startswith("index") for sync in own)


@pytest.mark.parametrize("hook", [run_counterfactual, run_attack])
def test_a_number_read_for_each_token_is_found(monkeypatch, hook):
    def read_each(outcome):
        [value.item() for value in (outcome.jsd if hook is run_counterfactual else outcome)]
        return outcome

    owner, name = (counterfactual, "divergence") if hook is run_counterfactual else (adversarial, "token_entropy")
    change_result(owner, name, read_each)(monkeypatch)
    (short, _), (long, _) = (synchronisations(monkeypatch, hook, n) for n in (SHORT, LONG))
    assert len(long) > len(short)


def test_counterfactual_forward_draws_its_noise_on_the_device(monkeypatch):
    perturbed = []

    def record(inputs, *rest):
        perturbed.append(inputs["pixel_values"].device)
        return inputs, *rest

    change_arguments(counterfactual, "perturb", record)(monkeypatch)
    data = batch_on_the_host("internvl3")
    with engine_on_gpu(monkeypatch, "internvl3") as gpu:
        run_counterfactual(gpu.engine, data)
    assert perturbed == [DEVICE] * 2  # an image for each prompt
    assert gpu.cuda.numbers_drawn_on_host == 0


@pytest.mark.parametrize("kind", PERTURBATIONS)
@pytest.mark.parametrize("family", ["qwen2_5_vl", "internvl3"])  # a layout of pixel_values each
def test_perturbations_stay_on_the_device(family, kind):
    inputs = batch_on_the_host(family)["multi_modal_inputs"][0]
    settings = layout_of(tiny_model(family)[1]), kind, PERTURBATIONS[kind].default, (3, 5, "0")
    with pretended_cuda() as cuda:
        moved = {**inputs, "pixel_values": inputs["pixel_values"].to("cuda")}
        outcome = perturb(moved, *settings)["pixel_values"]
    assert outcome.device == DEVICE
    assert cuda.numbers_drawn_on_host == 0
    torch.testing.assert_close(outcome.inner, perturb(inputs, *settings)["pixel_values"], rtol=0, atol=0)
