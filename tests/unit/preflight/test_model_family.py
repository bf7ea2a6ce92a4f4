"""What a family of models asks of a run."""

import pytest
from checked_run import problems

INTERNVL = [
    "actor_rollout_ref.model.path=OpenGVLab/InternVL3-8B-hf",
    "actor_rollout_ref.model._target_=verl_plugins.internvl.InternVLModelConfig",
    "actor_rollout_ref.rollout.agent.default_agent_loop=image_single_turn_agent",
]


def test_internvl_needs_its_model_config_and_loop(data, tmp_path):
    assert problems(["+method=grpo", *data, *INTERNVL]) == []
    (tmp_path / "config.json").write_text('{"model_type": "internvl"}')
    bare = problems(["+method=grpo", *data, f"actor_rollout_ref.model.path={tmp_path}"])
    assert "model._target_: got verl.workers.config.HFModelConfig, expected verl_plugins.internvl" in bare[0]
    assert "default_agent_loop: got single_turn_agent, expected image_single_turn_agent" in bare[1]
    assert len(bare) == 2


@pytest.mark.parametrize("method", ["grpo", "vepo"])
def test_fused_kernels_are_refused_where_they_would_ignore_the_images(data, method):
    fused = "actor_rollout_ref.model.use_fused_kernels=true"
    (result,) = problems([f"+method={method}", *data, *INTERNVL, fused])
    assert result.startswith(
        "actor_rollout_ref.model.use_fused_kernels: got true, expected false (verl's fused forward"
    )
    assert problems([f"+method={method}", *data, fused]) == []


UNTIED = '{"model_type": "qwen2_5_vl", "tie_word_embeddings": false}'
TIED = '{"model_type": "qwen2_5_vl", "text_config": {"tie_word_embeddings": true}}'


@pytest.mark.parametrize(
    ("model", "strategy", "backend", "number"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "fsdp2", "torch", 1),
        ("Qwen/Qwen2.5-VL-72B-Instruct", "fsdp2", "torch", 1),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "fsdp", "torch", 0),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "fsdp2", "torch", 0),
        ("Qwen/Qwen3-VL-8B-Instruct", "fsdp2", "torch", 0),
        ("Qwen/Qwen3-VL-8B-Instruct", "fsdp2", "triton", 1),
        ("Qwen/Qwen3-VL-4B-Instruct", "fsdp2", "triton", 0),
        (UNTIED, "fsdp2", "torch", 1),
        (TIED, "fsdp2", "torch", 0),
    ],
)
def test_fused_kernels_are_refused_where_verls_forward_would_fail_on_fsdp2(
    data, tmp_path, model, strategy, backend, number
):
    if model.startswith("{"):
        (tmp_path / "config.json").write_text(model)
        model = str(tmp_path)
    options = ["actor_rollout_ref.model.use_fused_kernels=true", f"actor_rollout_ref.actor.strategy={strategy}"]
    options += [f"actor_rollout_ref.model.fused_kernel_options.impl_backend={backend}"]
    result = problems(["+method=ecvgpo", *data, f"actor_rollout_ref.model.path={model}", *options])
    assert len(result) == number, result
    assert not result or "expected false on FSDP2 for a model whose lm_head is not tied" in result[0]


@pytest.mark.parametrize("key", ["actor.fsdp_config", "actor"])
@pytest.mark.parametrize("method", ["ecvgpo", "vepo", "saei"])
def test_sequence_parallelism_needs_packed_rows_of_a_family_that_verl_slices(data, method, key):
    key = f"actor_rollout_ref.{key}.ulysses_sequence_parallel_size"
    run = [f"+method={method}", *data, "actor_rollout_ref.rollout.n=12", "trainer.n_gpus_per_node=2", f"{key}=2"]
    packed = "actor_rollout_ref.model.use_remove_padding"
    assert problems([*run, f"{packed}=true"]) == []
    (result,) = problems([*run, f"{packed}=false"])
    assert result.startswith(f"{packed}: got False, expected true with {key}=2") and result.endswith(f"set {packed}")
    internvl = [*INTERNVL, "+data.mm_processor_kwargs.crop_to_patches=false"]
    (result,) = problems([*run, f"{packed}=true", *internvl])
    assert result.startswith(f"{key}: got 2, expected 1 for InternVL") and result.endswith(f"set {key}")


@pytest.mark.parametrize("method", ["saei", "noisyrollout"])
def test_a_method_that_changes_images_takes_internvls_whole(data, method):
    run = [f"+method={method}", *data[:2], *INTERNVL]
    (result,) = problems(run)
    assert "data.mm_processor_kwargs.crop_to_patches: got true, InternVL's default, expected false" in result
    assert problems([*run, "+data.mm_processor_kwargs.crop_to_patches=false"]) == []


def test_one_limit_of_the_pixels_alone_is_refused(data):
    (result,) = problems(["+method=grpo", *data, "+data.mm_processor_kwargs.max_pixels=1000"])
    assert "data.mm_processor_kwargs: got max_pixels alone, expected min_pixels and max_pixels" in result


QWEN3_5 = "actor_rollout_ref.model.path=Qwen/Qwen3.5-4B"
THINKING = "data.apply_chat_template_kwargs.enable_thinking"


@pytest.mark.parametrize(("override", "number"), [([], 1), ([f"+{THINKING}=false"], 0), ([f"+{THINKING}=true"], 0)])
def test_qwen3_5_is_asked_whether_the_prompt_opens_the_thinking(data, override, number):
    result = problems(["+method=grpo", *data, QWEN3_5, *override])
    assert len(result) == number
    assert all(f"{THINKING}: got nothing" in problem and f"set +{THINKING}=false" in problem for problem in result)
