"""The planner: sizes of the recipes' models, published rows, hand arithmetic, and what it advises."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from verl_plugins.cli import main
from verl_plugins.compose import compose_run
from verl_plugins.plan.advice import advice, fits
from verl_plugins.plan.memory import GIB, image_tokens, plan, saved_by_layer, trained_parameters
from verl_plugins.plan.models import CONFIGS
from verl_plugins.plan.shape import Layers, shape_of
from verl_plugins.plan.workload import Workload, workload_of

ROOT = Path(__file__).parents[2]


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
        ("InternVL3-8B-hf", 7.94),
    ],
)
def test_the_models_have_their_published_sizes(shapes, model, billions):
    assert shapes[model].parameters / 1e9 == pytest.approx(billions, abs=0.01)


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
    offloads_optimizer=True, vllm_share=0.6,
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
        # What the table asks more for does not fit.
        ("Qwen2.5-VL-3B", EASYR1, 1, 24, False),
        ("Qwen2.5-VL-3B", AMP, 1, 40, False),
        ("Qwen2.5-VL-7B", EASYR1, 1, 40, False),
        ("Qwen2.5-VL-7B", EASYR1, 2, 40, False),
        ("Qwen2.5-VL-7B", AMP, 4, 40, False),
    ],
)
def test_published_rows(shapes, model, load, gpus, memory, does_fit):
    load = replace(load, gpus=gpus, gpus_of_a_node=gpus)
    assert fits(plan(shapes[model], load, memory * GIB), memory * GIB) == does_fit


def test_bytes_of_a_layer_by_hand():
    layers = Layers(2, hidden=8, intermediate=16, query=8, key=4, is_gated=True, has_head_norms=False, parameters=0)
    load = Workload(gpus=1, gpus_of_a_node=1)
    # bf16: two norms of (4 + 2 + 2) * 8 = 128; queries 8, keys 4, values 4, output 8, 2 bytes each = 48;
    # gate, its activation, up and product: 4 * 16 * 2 = 128.
    assert saved_by_layer(layers, load) == 128 + 48 + 128
    # float32: norms 2 * (4 + 8) * 8 = 192; 96; 256
    assert saved_by_layer(layers, replace(load, compute_bytes=4)) == 192 + 96 + 256


@pytest.mark.slow  # a minute of updates
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "internvl"])
@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_predictions_are_within_a_fifth_of_measured_peaks(family, is_checkpointed):
    spec = importlib.util.spec_from_file_location("benchmark_plan", ROOT / "benchmarks" / "plan.py")
    sys.modules["benchmark_plan"] = benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
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
    assert changed(has_entropy_loss=True)["update"]["logits, or a layer"] == 6 * 16384 * 152064 * 2
    vepo, saei = changed(methods=("vepo",)), changed(methods=("saei",))
    assert sum(vepo["log-probabilities"].values()) < sum(whole["log-probabilities"].values())
    assert "attack" in saei and sum(saei["attack"].values()) < sum(whole["update"].values())
    frozen = changed(methods=("saei",), is_vision_frozen=True)  # the way to the pixels leads through the tower
    assert frozen["attack"]["activations"] == saei["attack"]["activations"]
    assert frozen["update"]["activations"] < whole["update"]["activations"]


def test_images_in_tokens(shapes):
    load = Workload(gpus=1, gpus_of_a_node=1, image_pixels=640 * 448)
    assert image_tokens(shapes["Qwen2.5-VL-7B"], load) == 640 * 448 // 28**2 + 2
    assert image_tokens(shapes["Qwen3-VL-8B"], load) == 640 * 448 // 32**2 + 2
    tiles = replace(load, image_pixels=5 * 448 * 448)
    assert image_tokens(shapes["InternVL3-8B-hf"], tiles) == 5 * 256 + 2


def test_advice_makes_it_fit_or_says_that_nothing_does(shapes):
    load = Workload(gpus=4, gpus_of_a_node=4, vllm_share=0.6)
    overrides, after = advice(shapes["Qwen2.5-VL-7B"], load, 40 * GIB)
    assert overrides and fits(after, 40 * GIB)
    assert "actor_rollout_ref.actor.fsdp_config.optimizer_offload=true" in overrides
    overrides, after = advice(shapes["Qwen2.5-VL-7B"], replace(load, gpus=1, gpus_of_a_node=1), 24 * GIB)
    assert not fits(after, 24 * GIB)


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
            ]
        )
    )  # fmt: skip
    assert (load.gpus, load.gpus_of_a_node, load.methods) == (8, 4, ("vepo", "saei"))
    assert (load.tokens, load.log_prob_tokens, load.image_pixels) == (3 * 128, 5 * 128, 50176)
    assert (load.weight_bytes, load.has_reference, load.is_vision_frozen, load.has_entropy_loss) == (
        2,
        True,
        True,
        True,
    )


def test_the_command_plans_a_recipe(capsys, tmp_path, monkeypatch):
    command = tmp_path / "verl-plugins"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m verl_plugins.cli "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    recipe = str(ROOT / "recipes" / "run_qwen2_5_vl_7b_saei.sh")
    assert main(["plan", recipe, "--gpus", "8", "--memory", "80"]) == 0
    out = capsys.readouterr().out
    assert "8.29 billion parameters, 8 GPUs of 80 GiB" in out
    assert "attack" in out and "fits: the largest phase takes" in out
    assert main(["plan", recipe, "--gpus", "4", "--memory", "40"]) == 1
    assert "turn down, and it fits" in capsys.readouterr().out
    assert main(["plan", str(tmp_path / "none.sh")]) == 1
    assert "expected a file that exists" in capsys.readouterr().out
