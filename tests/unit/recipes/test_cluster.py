"""The recipes on several machines, with stand-ins for the commands that only record how they were called."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SLURM = {
    "SLURM_SUBMIT_DIR": str(ROOT),
    "SLURM_JOB_NUM_NODES": "2",
    "SLURMD_NODENAME": "n1",
    "SLURM_GPUS_ON_NODE": "8",
}
RECIPES = sorted((ROOT / "recipes").glob("run_*.sh"))
SCRIPTS = ["ssh.sh", "slurm.sbatch", "job_submit.sh"]
SLURM = {
    "SLURM_SUBMIT_DIR": str(ROOT),
    "SLURM_JOB_NUM_NODES": "2",
    "SLURMD_NODENAME": "n1",
    "SLURM_GPUS_ON_NODE": "8",
    "SLURM_JOB_ID": "77",
}


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
        "hostname": 'case "$1" in --ip-address) echo "${BY_NAME-192.0.2.1}" ;; *) echo "${BY_CARD-}" ;; esac',
        "scontrol": "true",
    }
    for command in ("ssh", "ray", "verl-plugins", "srun", "hostname", "python3", "scontrol"):
        body = bodies.get(command, "true")
        (stubs / command).write_text(f'#!/usr/bin/env bash\necho "{command} $*" >>"$LOG"\n{body}\n')
        (stubs / command).chmod(0o755)
    (tmp_path / "recipe.sh").write_text(
        'echo "recipe NNODES=$NNODES RAY_ADDRESS=${RAY_ADDRESS:-} $*" >>"$LOG"\nexit "${RECIPE_ENDS_WITH:-0}"\n'
    )

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
    start = "ray start --head --node-ip-address=192.0.2.1 --port=6379 --num-gpus=4 --disable-usage-stats"
    join = "over ssh: ray start --address=192.0.2.1:6379 --num-gpus=4 --disable-usage-stats "
    check = "over ssh: verl-plugins doctor --no-ray --gpus 4 "
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
    process, calls = cluster("slurm.sbatch", **SLURM)
    assert process.returncode == 0, process.stderr
    assert "srun --ntasks-per-node=1 verl-plugins doctor --no-ray --gpus 8" in calls
    join = "srun --nodes=1 --ntasks=1 --exclude=n1 ray start --address=192.0.2.1:6379 --num-gpus=8"
    assert any(call.startswith(join) for call in calls), calls
    assert "recipe NNODES=2 RAY_ADDRESS=192.0.2.1:6379 " in calls


SCRIPTS = {"ssh.sh": {"HOSTS": "one"}, "slurm.sbatch": SLURM}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("found", "head", "address"),
    [
        ({"BY_NAME": "127.0.1.1", "BY_CARD": "10.0.0.5 172.17.0.1 fd00::5"}, "10.0.0.5", "10.0.0.5:6379"),
        ({"BY_NAME": "::1 fe80::1%eth0 10.0.0.5"}, "10.0.0.5", "10.0.0.5:6379"),
        ({"BY_NAME": "169.254.3.4 10.0.0.5"}, "10.0.0.5", "10.0.0.5:6379"),
        ({"BY_NAME": "10.0.0.5", "HEAD_ADDRESS": "10.1.0.5"}, "10.1.0.5", "10.1.0.5:6379"),
        ({"BY_NAME": "127.0.1.1", "HEAD_ADDRESS": "fd00::5"}, "fd00::5", "[fd00::5]:6379"),
    ],
)
def test_the_heads_address_is_one_that_others_reach(cluster, script, found, head, address):
    process, calls = cluster(script, **SCRIPTS[script], **found)
    assert process.returncode == 0, process.stderr
    (start,) = [call for call in calls if call.startswith("ray start --head")]
    assert f"--node-ip-address={head} " in start, "or Ray would take the card that leads to the internet"
    joined = [call.replace("\\", "") for call in calls]  # over ssh, brackets are quoted
    assert any(f"ray start --address={address} " in call for call in joined), calls
    assert any(f"RAY_ADDRESS={address} " in call for call in calls)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("names", ["127.0.1.1", "::1 fd00::5", ""])
def test_without_an_address_that_others_reach_no_ray_starts(cluster, script, names):
    process, calls = cluster(script, **SCRIPTS[script], BY_NAME=names, BY_CARD=names)
    assert process.returncode == 1
    assert "HEAD_ADDRESS: got nothing" in process.stderr and "set HEAD_ADDRESS" in process.stderr
    assert not any("ray start" in call for call in calls)


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
    of_the_machine = {"TILE"}  # set by a family
    lines = (ROOT / "recipes" / "cluster" / "job_submit.sh").read_text().splitlines()
    taken = {name for line in lines if line.startswith("names ") for name in line.partition("=")[2].strip('" ').split()}
    assert read - of_the_machine <= taken
    assert {"BASELINE", "BASE", "FORM"} <= read


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_every_variable_that_the_script_reads(script):
    path = ROOT / "recipes" / "cluster" / script
    process = subprocess.run(["bash", path, "--help"], capture_output=True, text=True, check=False)
    assert process.returncode == 0 and process.stderr == ""
    assert f"recipes/cluster/{script}" in process.stdout and "#SBATCH" not in process.stdout
    code = "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("#"))
    if script != "job_submit.sh":
        code += (path.parent / "common.sh").read_text()
    read = set(re.findall(r"\$\{([A-Z]\w*):-", code)) - {name for name in SLURM if name in code}
    made = {"SLURM_RESTART_COUNT", "RAY_AUTH_TOKEN"}  # by Slurm, and for the run
    assert read - made and [name for name in read - made if name not in process.stdout] == []
    process = subprocess.run(["bash", path], capture_output=True, text=True, check=False)
    assert process.returncode == 2 and process.stdout.startswith("Runs a recipe")


def test_every_command_runs_in_the_environment_and_the_container_of_the_run(cluster, tmp_path):
    container = tmp_path / "stubs" / "box"
    container.write_text('#!/usr/bin/env bash\necho "box $*" >>"$LOG"\nexec "${@:2}"\n')
    container.chmod(0o755)
    (tmp_path / "activate").write_text("export NCCL_SOCKET_IFNAME=$UNSET$PREFIX-ib0\n")
    env = {"ACTIVATE": str(tmp_path / "activate"), "CONTAINER": f"{container} image", "PREFIX": "a"}
    for script, more in (("ssh.sh", {"HOSTS": "one"}), ("slurm.sbatch", SLURM)):
        (tmp_path / "calls").write_text("")
        process, calls = cluster(script, "a=1", **env, **more)
        assert process.returncode == 0, process.stderr
        inside = [call.removeprefix("box image ").split()[0] for call in calls if call.startswith("box ")]
        assert {"ray", "python3", "bash"} <= set(inside)
        elsewhere = [call for call in calls if call.startswith(("over ssh", "srun"))]
        assert len(elsewhere) >= 2
        assert [call for call in elsewhere if f"{container} image " not in call] == []


def test_over_ssh_the_network_and_the_offline_cache_go_to_the_others(cluster, tmp_path):
    ssh = tmp_path / "stubs" / "ssh"
    ssh.write_text('#!/usr/bin/env bash\ncat >>"$LOG"\n')
    sent = {"NCCL_SOCKET_IFNAME": "ib0", "GLOO_SOCKET_IFNAME": "ib0", "HF_HUB_OFFLINE": "1", "CUDA_HOME": "here"}
    process, calls = cluster("ssh.sh", HOSTS="one", WANDB_API_KEY="hush", CUDA_VISIBLE_DEVICES="3", **sent)
    assert process.returncode == 0, process.stderr
    assert {f"export {name}={value}" for name, value in sent.items()} <= set(calls)
    assert not [call for call in calls if call.startswith(("export WANDB", "export CUDA_VIS"))]


@pytest.mark.parametrize(
    ("requeue", "restarts", "ends_with", "is_queued"),
    [
        ("2", "1", "1", True),
        ("1", None, "1", True),
        ("2", "2", "1", False),
        (None, None, "1", False),
        ("2", "1", "0", False),
    ],
)
def test_on_slurm_a_failed_run_is_queued_again_a_few_times(cluster, requeue, restarts, ends_with, is_queued):
    env = {"REQUEUE": requeue, "SLURM_RESTART_COUNT": restarts, "RECIPE_ENDS_WITH": ends_with}
    process, calls = cluster("slurm.sbatch", **SLURM, **{name: value for name, value in env.items() if value})
    assert process.returncode == int(ends_with)
    assert ("scontrol requeue 77" in calls) == is_queued
    assert "ray stop" in calls
