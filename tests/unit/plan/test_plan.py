"""The planner: sizes of the recipes' models, published requirements, hand arithmetic, and advice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from memory import plan as benchmark
from memory.true_size import TrueSize
from memory.true_size_cases import CASES, predicted

from verl_plugins.compose import compose_run
from verl_plugins.plan.advice import Machines, advice, fits
from verl_plugins.plan.host import pixel_bytes
from verl_plugins.plan.linear_attention import LinearAttention
from verl_plugins.plan.memory import (
    image_tokens,
    kept_by_stack,
    layer_work,
    plan,
    saved_by_layer,
    saved_by_linear_layer,
    trained_parameters,
)
from verl_plugins.plan.models import CONFIGS
from verl_plugins.plan.shape import Layers, shape_of
from verl_plugins.plan.workload import GIB, Workload, workload_of


@pytest.fixture(scope="module")
def shapes():
    return {name.rpartition("/")[2].removesuffix("-Instruct"): shape_of(name) for name in CONFIGS}


# As the Hub shows them, counted from the published weights.
@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("Qwen2.5-VL-3B", 3.75),
        ("Qwen2.5-VL-7B", 8.29),
        ("Qwen3-VL-4B", 4.44),
        ("Qwen3-VL-8B", 8.77),
        ("Qwen3.5-4B", 4.54),
        ("Qwen3.5-9B", 9.41),
        ("InternVL3-8B-hf", 7.94),
    ],
)
def test_the_models_have_their_published_sizes(shapes, model, billions):
    assert shapes[model].parameters / 1e9 == pytest.approx(billions, abs=0.01)


# The Hub's totals. They include the layer that predicts a second token, which Transformers does not load: one with
# softmax attention, the projection of state and embedding, two norms before it and one after.
@pytest.mark.parametrize(
    ("model", "total", "hidden", "intermediate"),
    [("Qwen3.5-4B", 4_659_865_088, 2560, 9216), ("Qwen3.5-9B", 9_653_104_368, 4096, 12288)],
)
def test_the_widths_of_qwen3_5_give_its_published_size_to_the_last_digit(shapes, model, total, hidden, intermediate):
    attention = hidden * (2 * 4096 + 1024 + 1024) + 4096 * hidden + 2 * 256  # queries with a gate; norms of a head
    layer = attention + 3 * hidden * intermediate + 2 * hidden
    assert shapes[model].parameters + layer + 2 * hidden * hidden + 3 * hidden == total


def test_a_folder_is_read_and_anything_else_refused(tmp_path):
    from verl_plugins.demo.tasks import TASKS
    from verl_plugins.demo.tiny_vlm import build_tiny_vlm

    build_tiny_vlm(tmp_path, TASKS["grounding"])
    shape = shape_of(str(tmp_path))
    assert shape.text.count == 4 and shape.text.hidden == 128
    with pytest.raises(ValueError, match=r"model: got no/where, expected a folder with a config.json"):
        shape_of("no/where")


# EasyR1's README, "Hardware Requirements" (estimated by its authors): GRPO by full fine-tuning in bf16 and in mixed
# precision, and LoRA; it offloads weights and optimizer, as its examples/config.yaml says.
EASYR1 = Workload(
    gpus=1, gpus_of_a_node=1, weight_bytes=2, tokens=8192, log_prob_tokens=8192, offloads_weights=True,
    offloads_optimizer=True, vllm_share=0.6, max_model_len=4096,
)  # fmt: skip
AMP = replace(EASYR1, weight_bytes=4)


@pytest.mark.parametrize(
    ("model", "load", "gpus", "memory", "does_fit"),
    [
        ("Qwen2.5-VL-3B", EASYR1, 1, 40, True),
        ("Qwen2.5-VL-7B", EASYR1, 4, 40, True),
        ("Qwen2.5-VL-3B", AMP, 4, 40, True),
        ("Qwen2.5-VL-7B", AMP, 8, 40, True),
        ("Qwen2.5-VL-3B", replace(EASYR1, lora_rank=64, is_vision_frozen=True, tokens=4096), 1, 24, True),
        # Rows for which the table demands more do not fit.
        ("Qwen2.5-VL-3B", EASYR1, 1, 24, False),
        ("Qwen2.5-VL-3B", AMP, 1, 40, False),
        ("Qwen2.5-VL-7B", EASYR1, 1, 40, False),
        ("Qwen2.5-VL-7B", EASYR1, 2, 40, False),
        ("Qwen2.5-VL-7B", AMP, 4, 40, False),
    ],
)
def test_published_rows(shapes, model, load, gpus, memory, does_fit):
    load = replace(load, gpus=gpus, gpus_of_a_node=gpus)
    assert fits(plan(shapes[model], load, memory * GIB), Machines(memory * GIB)) == does_fit


def test_bytes_of_a_layer_by_hand():
    layers = Layers(
        2, hidden=8, intermediate=16, query=8, key=4, key_heads=1, is_gated=True, has_head_norms=False,
        has_one_projection=False, repeats_keys=False, parameters=0,
    )  # fmt: skip
    load = Workload(gpus=1, gpus_of_a_node=1)
    # bf16: two norms of (4 + 2 + 2) * 8 = 128; queries 8, keys 4, values 4, output 8, 2 bytes each = 48;
    # gate, its activation, up and product: 4 * 16 * 2 = 128.
    assert saved_by_layer(layers, load) == 128 + 48 + 128
    # float32: norms 2 * (4 + 8) * 8 = 192; 96; 256
    assert saved_by_layer(layers, replace(load, compute_bytes=4)) == 192 + 96 + 256
    # Frozen weights need no input: norms 2 * 4 * 8 = 64; gate, activation and up 3 * 16 * 2 = 96.
    assert saved_by_layer(layers, load, is_trained=False) == 64 + 48 + 96
    # Keys and values as wide as the queries: 2 * (8 - 4) * 2 = 16 more. Values that keep a projection of 24: 32 more.
    assert saved_by_layer(replace(layers, repeats_keys=True), load) == 128 + 48 + 16 + 128
    assert saved_by_layer(replace(layers, has_one_projection=True), load) == 128 + 48 + 32 + 128
    # The backward: all that is saved, and three gradients of 16 * 2, one of them in the product's place.
    assert layer_work(layers, load) == 128 + 48 + 128 + 64
    assert layer_work(layers, load, is_trained=False) == 64 + 48 + 96 + 96
    assert layer_work(layers, replace(load, is_checkpointed=False)) == 64
    # Without a gate: LayerNorms 2 * (4 + 2) * 8 = 96; 48; inner states before and after 2 * 16 * 2; a gradient of 32.
    plain = replace(layers, is_gated=False)
    assert saved_by_layer(plain, load) == 96 + 48 + 64
    assert layer_work(plain, load) == 96 + 48 + 64 + 32


def test_bytes_of_linear_attention_by_hand():
    linear = LinearAttention(count=3, heads=2, key=4, value=8, mixed=24, taps=4)
    # bf16: the projection before and after the convolution 2 * 24; queries and keys of two heads 2 * 2 * 4, values 16,
    # inverses 2 * 64; norm's inputs 2 * 16, its output 16; the decay 2 * 4 in float32.
    assert linear.saved(2, is_trained=True) == 2 * (48 + 16 + 16 + 128 + 32 + 16) + 8
    assert linear.saved(2, is_trained=False) == 2 * (48 + 16 + 16 + 128 + 32) + 8
    assert linear.state == 3 * (4 * 2 * 4 * 8 + 2 * 3 * 24)
    layers = Layers(
        4, hidden=8, intermediate=16, query=8, key=4, key_heads=1, is_gated=True, has_head_norms=False,
        has_one_projection=False, repeats_keys=False, parameters=0, has_gated_output=True, linear=linear,
    )  # fmt: skip
    load = Workload(gpus=1, gpus_of_a_node=1)
    # As without linear attention, and a gate and a product of 8 each; in the other three layers its own for the 48.
    assert saved_by_layer(layers, load) == 128 + 48 + 32 + 128
    assert saved_by_linear_layer(layers, load) == 128 + linear.saved(2, is_trained=True) + 128
    assert layer_work(layers, load) == saved_by_linear_layer(layers, load) + 64  # the larger of the two
    kept = kept_by_stack(layers, replace(load, is_checkpointed=False), is_trained=True)
    assert kept == saved_by_layer(layers, load) + 3 * saved_by_linear_layer(layers, load)
    assert saved_by_linear_layer(replace(layers, linear=None), load) == 0


def test_a_request_of_qwen3_5_holds_eight_layers_of_keys_and_a_state(shapes):
    load = Workload(gpus=8, gpus_of_a_node=8, max_model_len=4096)
    for model in ("Qwen3.5-4B", "Qwen3.5-9B"):
        estimate = plan(shapes[model], load, 80 * GIB)
        assert estimate.cached_token == 8 * 2 * 4 * 256 * 2  # layers, keys and values, heads, bf16
        # 24 layers of 32 matrices of 128 x 128 in float32, and three inputs of 8,192 in bf16
        assert estimate.request_state == 24 * (32 * 128 * 128 * 4 + 3 * 8192 * 2)
        assert estimate.request_bytes == 4096 * estimate.cached_token + estimate.request_state
    assert plan(shapes["Qwen3-VL-8B"], load, 80 * GIB).request_state == 0


# At true widths: 12,288 tokens and eight images of a megapixel, four layers of each stack, because all are alike.
@pytest.mark.parametrize("model", ["Qwen2.5-VL-3B", "Qwen2.5-VL-7B"])
def test_predictions_are_within_a_fifth_at_true_widths(shapes, model):
    _compare_with_true_size(shapes[model], f"Qwen/{model}-Instruct", layers=4)


@pytest.mark.slow  # a minute
@pytest.mark.parametrize("model", ["Qwen2.5-VL-3B", "Qwen2.5-VL-7B"])
def test_predictions_are_within_a_fifth_at_true_sizes(shapes, model):
    _compare_with_true_size(shapes[model], f"Qwen/{model}-Instruct", layers=None)


def _compare_with_true_size(shape, name, layers):
    if layers:
        text, vision = (replace(stack, count=layers) for stack in (shape.text, shape.vision))
        shape = replace(shape, text=text, vision=vision)
    models = {is_checkpointed: TrueSize(name, is_checkpointed, layers) for is_checkpointed in (True, False)}
    errors = {}
    for case in CASES:
        measured, planned = models[case.is_checkpointed].measure(case), predicted(shape, case)
        errors[f"{case}: peak"] = planned.peak / measured.peak - 1
        if case.phase in ("update", "attack"):  # a forward without gradient keeps next to nothing
            errors[f"{case}: activations"] = planned.activations / measured.activations - 1
    assert {case: f"{error:+.0%}" for case, error in errors.items() if abs(error) > 0.2} == {}


@pytest.mark.slow  # a minute of updates
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "internvl"])
@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_predictions_are_within_a_fifth_of_measured_peaks(family, is_checkpointed):
    case = benchmark.Case(family, tokens=700, is_checkpointed=is_checkpointed)
    measured, predicted = benchmark.measure(case)
    assert predicted == pytest.approx(measured, rel=benchmark.TOLERANCE)


def test_what_each_choice_changes(shapes):
    shape = shapes["Qwen2.5-VL-7B"]
    load = Workload(gpus=8, gpus_of_a_node=8)
    whole = plan(shape, load, 80 * GIB).phases

    def changed(**fields):
        return plan(shape, replace(load, **fields), 80 * GIB).phases

    assert trained_parameters(shape, load) - trained_parameters(shape, replace(load, is_vision_frozen=True)) == (
        shape.vision_parameters
    )
    # Two float32 states of each of 8.29 billion numbers, on 8 GPUs: 8.29e9 * 8 / 8 bytes.
    assert whole["update"]["optimizer"] == pytest.approx(8.29e9, rel=1e-3)
    assert changed(offloads_optimizer=True)["sampling"]["optimizer"] == 0
    assert changed(offloads_optimizer=True)["update"] == whole["update"]
    assert changed(tokens=8192)["update"]["activations"] == pytest.approx(whole["update"]["activations"] / 2, rel=0.1)
    assert changed(is_checkpointed=False)["update"]["activations"] > 10 * whole["update"]["activations"]
    logit_bytes = 16384 * 152064 * 2
    # The logits and two gradients.
    assert changed(has_entropy_loss=True)["update"]["logits, or a layer"] == 3 * logit_bytes
    eager = changed(has_entropy_loss=True, is_entropy_compiled=False)
    assert eager["update"]["logits, or a layer"] == 13 * logit_bytes
    # Chunks: 7 times the logits, and in a forward without gradient a chunk of 2048 in float32, three times.
    chunked = changed(has_entropy_loss=True, is_entropy_chunked=True)
    assert chunked["update"]["logits, or a layer"] == 7 * logit_bytes
    assert chunked["log-probabilities"]["logits, or a layer"] == logit_bytes + 3 * 4 * 2048 * 152064
    vepo, saei = changed(has_second_forward=True), changed(has_pixel_gradient=True)
    assert sum(vepo["log-probabilities"].values()) < sum(whole["log-probabilities"].values())
    assert "attack" in saei and sum(saei["attack"].values()) < sum(whole["update"].values())
    # The gradient reaches the pixels through the tower, even if it is frozen.
    frozen = changed(has_pixel_gradient=True, is_vision_frozen=True)
    assert frozen["attack"]["activations"] == saei["attack"]["activations"]
    assert frozen["update"]["activations"] < whole["update"]["activations"]


def test_images_in_tokens(shapes):
    load = Workload(gpus=1, gpus_of_a_node=1, image_pixels=640 * 448)
    assert image_tokens(shapes["Qwen2.5-VL-7B"], load) == 640 * 448 // 28**2 + 2
    assert image_tokens(shapes["Qwen3-VL-8B"], load) == 640 * 448 // 32**2 + 2
    tiles = replace(load, image_pixels=5 * 448 * 448)
    assert image_tokens(shapes["InternVL3-8B-hf"], tiles) == 5 * 256 + 2


def test_advice_makes_it_fit_or_says_that_nothing_does(shapes):
    load = Workload(gpus=4, gpus_of_a_node=4, vllm_share=0.6, max_model_len=4096)
    overrides, after = advice(shapes["Qwen2.5-VL-7B"], load, Machines(40 * GIB))
    assert overrides and fits(after, Machines(40 * GIB))
    assert "actor_rollout_ref.actor.fsdp_config.optimizer_offload=true" in overrides
    overrides, after = advice(
        shapes["Qwen2.5-VL-7B"], replace(load, gpus=1, gpus_of_a_node=1), Machines(24 * GIB, 64 * GIB)
    )
    assert not fits(after, Machines(24 * GIB, 64 * GIB))


def test_vllm_must_hold_one_request(shapes):
    shape, machines = shapes["Qwen3-VL-8B"], Machines(80 * GIB)
    load = Workload(gpus=8, gpus_of_a_node=8, vllm_share=0.6)
    result = plan(shape, load, machines.gpu)
    # Keys and values of 8 heads of 128 in 36 layers, 2 bytes each: 147,456 a token; 262,144 of them are 36 GiB. Of
    # vLLM's 48 GiB the weights (8,767,123,696 * 2 bytes, 16.3 GiB) and 2 GiB of activations leave 29.7.
    assert result.cached_token == 147456
    assert result.request_tokens * result.cached_token == 36 * GIB
    assert result.cache / GIB == pytest.approx(29.67, abs=0.01)
    assert result.cache_lack / GIB == pytest.approx(36 - 29.67, abs=0.01)
    assert not fits(result, machines)
    overrides, after = advice(shape, load, machines)
    assert overrides == ["actor_rollout_ref.rollout.max_model_len=4096"]  # 2048 + 2048
    assert fits(after, machines) and after.request_tokens == 4096
    assert fits(plan(shape, replace(load, max_model_len=128000), machines.gpu), machines)
    assert plan(shape, replace(load, max_model_len=2570), machines.gpu).request_tokens == 2576  # 161 blocks of 16


def test_key_heads_are_shared_out_until_each_gpu_has_one(shapes):
    load = Workload(gpus=8, gpus_of_a_node=8)
    tokens = [plan(shapes["Qwen2.5-VL-3B"], replace(load, vllm_gpus=n), 80 * GIB).cached_token for n in (1, 2, 4)]
    # 2 heads of 128, keys and values of 36 layers in 2 bytes: 36,864; each of two or four GPUs holds one head
    assert tokens == [36864, 18432, 18432]


@pytest.mark.slow  # imports vLLM
@pytest.mark.parametrize("model", list(CONFIGS))
@pytest.mark.parametrize("length", [2560, 4095, 128000])
def test_a_request_is_what_vllm_asks_for(model, length):
    import torch
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    text = CONFIGS[model][1]["text_config"]
    head = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    spec = FullAttentionSpec(
        block_size=16, num_kv_heads=text["num_key_value_heads"], head_size=head, dtype=torch.bfloat16
    )
    parallel: Any = SimpleNamespace(decode_context_parallel_size=1, prefill_context_parallel_size=1)
    config: Any = SimpleNamespace(model_config=SimpleNamespace(max_model_len=length), parallel_config=parallel)
    result = plan(shape_of(model), Workload(gpus=8, gpus_of_a_node=8, max_model_len=length), 80 * GIB)
    target = text["num_hidden_layers"] // text.get("full_attention_interval", 1) * spec.max_memory_usage_bytes(config)
    assert result.request_tokens * result.cached_token == target


def test_memory_of_a_machine_by_hand(shapes):
    shape = shapes["Qwen2.5-VL-7B"]
    load = Workload(
        gpus=16, gpus_of_a_node=8, offloads_optimizer=True, rows=6144, image_pixels=1_000_000, validation_prompts=2000,
    )  # fmt: skip
    assert pixel_bytes(shape, load) == 24_000_000  # two frames of three float32 colours
    tiles = replace(load, image_pixels=5 * 448 * 448)
    assert pixel_bytes(shapes["InternVL3-8B-hf"], tiles) == 5 * 448 * 448 * 12
    host = plan(shape, load, 80 * GIB).host
    assert host["loading"] == {"weights": 4 * shape.parameters}  # in one process, because nothing is tied
    assert host["step"] == {
        "offloaded": 8 * shape.parameters // 2,  # two float32 states, half of them on each machine
        "vLLM's image caches": 8 * 4 * GIB,
        "vLLM's sleeping weights": 0,
        "images in the TransferQueue": 3072 * 24_000_000,
        "the workers' copies": 3072 * 24_000_000,
    }
    assert host["validation"]["images in the TransferQueue"] == 3072 * 24_000_000
    assert host["validation"]["validation's images"] == 1000 * 24_000_000
    lora = plan(shape, replace(load, lora_rank=8, vllm_gpus=2), 80 * GIB).host["step"]
    assert lora["vLLM's image caches"] == 4 * 4 * GIB  # servers of two GPUs
    assert lora["vLLM's sleeping weights"] == 4 * 2 * shape.parameters
    tied = shapes["Qwen2.5-VL-3B"]
    assert plan(tied, load, 80 * GIB).host["loading"] == {"weights": 8 * 4 * tied.parameters}


def test_a_machine_that_is_too_small_is_told(shapes):
    shape = shapes["Qwen2.5-VL-7B"]
    load = Workload(
        gpus=8, gpus_of_a_node=8, rows=256, image_pixels=1_000_000, validation_prompts=4000, max_model_len=4096
    )
    # Caches of 8 * 4 GiB, a step's rows of 5.7 GiB, and validation's of 89.4 GiB: 127.1. Of 64 GiB it fits without the
    # caches, with 2,000 rows of validation at once: 5.7 + 44.7.
    result = plan(shape, load, 80 * GIB)
    assert result.host_peak / GIB == pytest.approx(127.1, abs=0.1)
    assert fits(result, Machines(80 * GIB)) and not fits(result, Machines(80 * GIB, 64 * GIB))
    overrides, after = advice(shape, load, Machines(80 * GIB, 64 * GIB))
    assert overrides == [
        "++actor_rollout_ref.rollout.engine_kwargs.vllm.mm_processor_cache_gb=0", "data.val_batch_size=2000"
    ]  # fmt: skip
    assert after.host_peak / GIB == pytest.approx(50.4, abs=0.1)


def test_a_workload_is_read_from_the_composed_config():
    load = workload_of(
        compose_run(
            [
                "+method=[vepo,saei]", "data.max_prompt_length=100", "data.max_response_length=28",
                "+data.mm_processor_kwargs={min_pixels:4,max_pixels:50176}", "trainer.nnodes=2",
                "trainer.n_gpus_per_node=4", "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=3",
                "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=5",
                "actor_rollout_ref.actor.fsdp_config.model_dtype=bf16", "actor_rollout_ref.actor.use_kl_loss=true",
                "actor_rollout_ref.actor.freeze_vision_tower=true", "actor_rollout_ref.actor.entropy_coeff=0.1",
                "actor_rollout_ref.actor.entropy_from_logits_with_chunking=true",
                "actor_rollout_ref.actor.entropy_checkpointing=true", "data.val_max_samples=500",
                "data.val_batch_size=200", "data.train_batch_size=64", "actor_rollout_ref.rollout.n=6",
                "actor_rollout_ref.rollout.max_model_len=128", "actor_rollout_ref.rollout.val_kwargs.n=2",
                "+actor_rollout_ref.rollout.engine_kwargs.vllm.mm_processor_cache_gb=0.5",
            ]
        )
    )  # fmt: skip
    assert (load.gpus, load.gpus_of_a_node, load.has_second_forward, load.has_pixel_gradient) == (8, 4, True, True)
    assert (load.tokens, load.log_prob_tokens, load.image_pixels) == (3 * 128, 5 * 128, 50176)
    assert (load.weight_bytes, load.has_reference, load.is_vision_frozen, load.has_entropy_loss) == (
        2,
        True,
        True,
        True,
    )

    entropy = load.is_entropy_compiled, load.is_entropy_chunked, load.is_entropy_recomputed
    assert entropy == (True, True, True)
    assert (load.rows, load.validation_prompts, load.validation_responses) == (64 * 6, 200, 2)
    assert (load.max_model_len, load.image_cache) == (128, GIB // 2)


def test_what_a_config_leaves_open():
    load = workload_of(
        compose_run(
            [
                "+method=vepo", "actor_rollout_ref.model.use_remove_padding=false",
                "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1",
                "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=1",
            ]
        )
    )  # fmt: skip
    assert not load.is_entropy_compiled  # verl compiles the entropy only for packed rows
    assert (load.max_model_len, load.validation_prompts, load.image_cache) == (None, None, 4 * GIB)
