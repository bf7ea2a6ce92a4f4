"""FlashAttention, verl's default on a GPU: asked for before Ray starts, by the preflight and the doctor."""

from __future__ import annotations

import importlib.metadata
import sys
import types

import pytest

from verl_plugins.compose import compose_run
from verl_plugins.doctor.versions import check_versions
from verl_plugins.preflight import installation
from verl_plugins.preflight.installation import WITHOUT_FLASH_ATTN, check_installation
from verl_plugins.preflight.model import model_type

PACKED = "actor_rollout_ref.model.use_remove_padding=true"
SDPA = "+actor_rollout_ref.model.override_config.attn_implementation=sdpa"
QWEN2_5 = "actor_rollout_ref.model.path=Qwen/Qwen2.5-VL-3B-Instruct"
QWEN3_5 = "actor_rollout_ref.model.path=Qwen/Qwen3.5-4B"
QWEN3 = "actor_rollout_ref.model.path=Qwen/Qwen3-VL-8B-Instruct"


def problems(*overrides):
    return check_installation(compose_run(["+method=grpo", *overrides]))


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ([QWEN3], "attn_implementation: got flash_attention_2"),  # verl's default
        ([QWEN3, PACKED], "attn_implementation: got flash_attention_2"),
        ([QWEN2_5, PACKED, SDPA], "use_remove_padding: got true"),  # verl's own attention of packed rows
        ([QWEN3, PACKED, SDPA], None),
        ([QWEN2_5, *WITHOUT_FLASH_ATTN.split()], None),
        (["+platform=cpu", QWEN2_5], None),
    ],
)
def test_a_run_that_needs_it_is_told_how_to_get_it_or_go_without(monkeypatch, overrides, key):
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    result = problems(*overrides)
    if key is None:
        assert result == []
    else:
        (problem,) = result
        assert problem.startswith(f"actor_rollout_ref.model.{'override_config.' if 'attn' in key else ''}{key}")
        assert "pip install --no-build-isolation flash-attn==2.8.3" in problem and WITHOUT_FLASH_ATTN in problem


@pytest.mark.parametrize(
    ("model", "platform", "number"), [(QWEN3_5, [], 1), (QWEN3_5, ["+platform=cpu"], 0), (QWEN3, [], 0)]
)
def test_qwen3_5_needs_the_kernels_of_its_linear_attention_on_a_gpu(monkeypatch, model, platform, number):
    monkeypatch.setattr(installation, "find_spec", lambda name: None if name == "fla" else object())
    result = problems(model, *platform)
    assert len(result) == number
    assert all("got Qwen/Qwen3.5-4B and no flash-linear-attention installed" in problem for problem in result)
    assert all("pip install flash-linear-attention==0.5.2" in problem for problem in result)


def test_the_version_of_flash_linear_attention_is_verls():
    requirements = importlib.metadata.requires("verl") or []
    assert any(each.startswith(f"flash-linear-attention=={installation.FLA}") for each in requirements)


def test_where_it_is_installed_nothing_is_said(monkeypatch):
    monkeypatch.setattr(installation, "find_spec", lambda name: object())
    assert problems(QWEN2_5, PACKED) == []


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_5_vl"),
        ("Qwen/Qwen2-VL-2B", "qwen2_vl"),
        ("OpenGVLab/InternVL3-8B-hf", "internvl"),
        ("Qwen/Qwen3-VL-4B-Instruct", "qwen3_vl"),
        ("Qwen/Qwen3.5-9B", "qwen3_5"),
        ("zai-org/GLM-4.1V-9B-Thinking", "glm4v"),
        ("meta/other", ""),
    ],
)
def test_a_family_is_known_by_its_name_on_the_hub(path, family):
    assert model_type(path) == family


@pytest.fixture
def gpu_install(monkeypatch):
    """The doctor's view of an installation with vLLM's build for GPUs and a given flash-attn."""

    def install(version, module):
        find = importlib.metadata.version

        def version_of(name):
            if name == "flash-attn" and version is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return {"vllm": "0.24.0", "flash-attn": version}.get(name) or find(name)

        monkeypatch.setattr(importlib.metadata, "version", version_of)
        monkeypatch.setitem(sys.modules, "flash_attn", module)

    return install


@pytest.mark.parametrize(
    ("version", "module", "line"),
    [
        (
            None,
            None,
            "FAIL  flash-attn: got not installed, expected 2.8.3; pip install ninja",
        ),
        ("2.8.3", types.ModuleType("flash_attn"), "ok    flash-attn: 2.8.3"),
        ("2.8.3.post2", types.ModuleType("flash_attn"), "ok    flash-attn: 2.8.3.post2"),
        ("2.7.4", types.ModuleType("flash_attn"), "FAIL  flash-attn: got 2.7.4, expected 2.8.3"),
        (
            "2.8.3",
            None,
            "FAIL  flash-attn: got 2.8.3, which does not load: ",
        ),  # as None in sys.modules
    ],
)
def test_the_doctor_looks_at_flash_attn_beside_vllms_build_for_gpus(gpu_install, version, module, line):
    gpu_install(version, module)
    (result,) = [check for check in check_versions() if check.what == "flash-attn"]
    assert str(result).startswith(line)
