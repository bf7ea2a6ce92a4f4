"""A processor or a family that a run cannot work with is refused before Ray starts."""

from __future__ import annotations

import json

import pytest
import tiny_families
import torch
from transformers import AutoModelForImageTextToText, Glm4vConfig, Glm4vImageProcessor

from verl_plugins.compose import compose_run
from verl_plugins.preflight.model import check_model
from verl_plugins.preflight.requirements_of_methods import check_requirements

WHOLE = "+data.mm_processor_kwargs.crop_to_patches=false"
LOOP = "actor_rollout_ref.rollout.agent.default_agent_loop=image_single_turn_agent"


def problems(model, *overrides, methods=("vepo", "saei")):
    path = f"actor_rollout_ref.model.path={model}"
    run = compose_run([f"+method=[{','.join(methods)}]", path, "actor_rollout_ref.rollout.n=12", *overrides])
    return check_requirements(run, list(methods))


@pytest.fixture
def folder(tmp_path):
    """A function that writes the config and the processor of a tiny model, and returns the folder."""

    def write(family, image_processor=None):
        config, processor = tiny_families.FAMILIES[family]()
        config.save_pretrained(tmp_path)
        processor.save_pretrained(tmp_path)
        if image_processor is not None:
            saved = json.loads((tmp_path / "processor_config.json").read_text())
            saved["image_processor"] = image_processor.to_dict()
            (tmp_path / "processor_config.json").write_text(json.dumps(saved))
        return tmp_path

    return write


@pytest.mark.parametrize("family", tiny_families.FAMILIES)
def test_the_processors_of_all_families_pass(folder, family):
    assert problems(folder(family), *([WHOLE, LOOP] if family == "internvl3" else [])) == []


def test_a_processor_of_another_layout_is_one_line_for_both_methods(folder):
    model = folder("qwen3_vl", Glm4vImageProcessor())
    (problem,) = problems(model)
    assert problem.startswith("image processor: got Glm4vImageProcessor, whose layout of pixel_values is not known")
    assert problem.endswith("set actor_rollout_ref.model.path")
    assert len(problems(model, methods=["saei"])) == len(problems(model, methods=["vepo"])) == 1
    assert problems(model, "algorithm.vepo.score=entropy", methods=["vepo"]) == []  # no image is perturbed
    assert len(problems(model, methods=["vppo"])) == 1
    assert problems(model, "algorithm.vppo.fraction=1", "algorithm.vppo.weight_min=1", methods=["vppo"]) == []
    assert problems(model, methods=["ecvgpo"]) == []


def test_settings_with_which_an_image_does_not_come_back_are_refused_for_the_attack_alone(folder):
    model = folder("qwen3_5")
    setting = "+data.mm_processor_kwargs.do_rescale=false"
    (problem,) = problems(model, setting)
    assert "got values that are no levels of 8-bit pixels" in problem
    assert problems(model, setting, methods=["vepo"]) == []


def test_a_folder_whose_processor_does_not_load_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (problem,) = problems(tmp_path)
    assert f"actor_rollout_ref.model.path: got {tmp_path}, whose processor cannot be loaded (" in problem
    assert problem.endswith("set actor_rollout_ref.model.path")


def test_a_model_that_is_not_on_this_machine_is_left_to_the_run():
    assert problems("Qwen/Qwen3-VL-235B-A22B-Instruct") == []


@pytest.mark.parametrize("method", ["grpo", "saei"])
def test_glm_is_refused_in_one_line_whatever_the_method(tmp_path, method):
    (tmp_path / "config.json").write_text('{"model_type": "glm4v"}')
    run = compose_run([f"+method={method}", f"actor_rollout_ref.model.path={tmp_path}"])
    (problem,) = check_model(run)
    assert "actor_rollout_ref.model.path: got GLM-4.1V, whose vision tower returns an object" in problem
    assert problem.endswith("set actor_rollout_ref.model.path")
    assert check_requirements(run, [method] if method != "grpo" else []) == []


def test_verls_forward_of_glm_raises_with_this_transformers(monkeypatch):
    """Why the family is refused. When this fails, verl can train it: support it, or give another reason."""
    from transformers.models.glm4v.modeling_glm4v import Glm4vForConditionalGeneration, Glm4vModel
    from verl.models.transformers import glm4v

    sizes = {"hidden_size": 64, "intermediate_size": 64}
    text = {**sizes, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0}
    vision = {**sizes, "depth": 1, "num_heads": 2, "out_hidden_size": 64, "image_size": 56}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3], "partial_rotary_factor": 0.5}
    config = Glm4vConfig(
        text_config={**text, "vocab_size": 300, "rope_parameters": rope}, vision_config=vision, image_token_id=5
    )
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    inputs = {
        "input_ids": torch.tensor([[1, 2, 5, 5, 5, 5, 3]]),
        "position_ids": torch.arange(7).expand(4, 1, -1),
        "attention_mask": None,
        "pixel_values": torch.zeros(16, 3 * 2 * 14 * 14),
        "image_grid_thw": torch.tensor([[1, 4, 4]]),
    }
    monkeypatch.setattr(Glm4vModel, "forward", glm4v.glm4v_base_forward)
    monkeypatch.setattr(Glm4vForConditionalGeneration, "forward", glm4v.forward_with_normal_backend)
    with pytest.raises(AttributeError, match="'BaseModelOutputWithPooling' object has no attribute 'shape'"):
        model(**inputs)
