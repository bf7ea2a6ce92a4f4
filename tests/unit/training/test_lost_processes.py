"""A run that has lost a process ends with one message, in bounded time, whatever verl waits for."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from verl_plugins.hydra_plugin import LastMessage
from verl_plugins.training import lost_processes as module

SCRIPT = """
import os, signal, sys, time
import ray
from omegaconf import OmegaConf
from verl_plugins.training.lost_processes import LostProcessWatch, lost_processes

@ray.remote
class Actor:
    def pid(self): return os.getpid()
    def leave(self): ray.actor.exit_actor()
    def wait(self): time.sleep(600)

assert lost_processes() == []  # before Ray starts
watch = LostProcessWatch(OmegaConf.create({"trainer": {"default_local_dir": sys.argv[1]}}), grace_s=1)
watch.start()
ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
ended = {name: Actor.options(name=name).remote() for name in ("left", "killed_by_verl", "out_of_scope")}
ray.get([actor.pid.remote() for actor in ended.values()])
ended["left"].leave.remote()
ray.kill(ended["killed_by_verl"])
del ended["out_of_scope"]
time.sleep(4)
assert lost_processes() == []
print("none lost", flush=True)
lost, waited_for = Actor.options(name="agent_loop").remote(), Actor.remote()
os.kill(ray.get(lost.pid.remote()), signal.SIGKILL)
ray.get(waited_for.wait.remote())
"""


@pytest.mark.slow
def test_a_driver_that_waits_for_another_actor_ends_with_the_message(tmp_path):
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("7")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "none lost" in done.stdout, done.stderr
    assert done.returncode == 1
    told = done.stderr[done.stderr.index("verl-plugins: a process of the run was lost") :]
    assert "\n  agent_loop, process " in told and "exit type: SYSTEM_ERROR" in told
    assert f"the same command goes on from {tmp_path / 'global_step_7'}" in told


ENGINES = """
import sys
import ray
from verl_plugins.training.lost_processes import dead_engines, wait_for_lost_processes

@ray.remote
class vLLMHttpServer:
    def __init__(self, is_dead): self.is_dead = is_dead
    def is_up(self): return True
    def collective_rpc(self, method):
        assert method == "check_health"
        if self.is_dead:
            raise RuntimeError("EngineCore encountered an issue")

assert dead_engines() == []
ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
well = vLLMHttpServer.options(name="vllm_server_0_0").remote(False)
assert ray.get(well.is_up.remote()) and dead_engines() == []
dead = vLLMHttpServer.options(name="vllm_server_1_0").remote(True)
assert ray.get(dead.is_up.remote())
print(*wait_for_lost_processes(), sep="\\n")
"""


@pytest.mark.slow
def test_a_server_whose_engine_is_dead_is_named():
    done = subprocess.run([sys.executable, "-c", ENGINES], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("the engine of vllm_server_1_0, process ")
    assert last.endswith("RuntimeError: EngineCore encountered an issue")


def config(tmp_path):
    return OmegaConf.create({"trainer": {"default_local_dir": str(tmp_path)}})


def ended(tmp_path, error):
    """The callback at the end of a run that raised ``error``."""
    callback = LastMessage()
    callback.on_job_start(config(tmp_path))
    callback.on_job_end(config(tmp_path), job_return=SimpleNamespace(_return_value=error))


def test_an_error_that_is_a_loss_is_told_as_one(tmp_path):
    from ray.exceptions import ActorDiedError, RayTaskError

    died = ActorDiedError()
    for error in (died, RayTaskError("run", "Traceback ...", died).as_instanceof_cause()):
        with pytest.raises(SystemExit, match="a process of the run was lost") as last:
            ended(tmp_path, error)
        assert "goes on from the beginning" in str(last.value.code)


def test_an_error_that_follows_from_a_loss_is_told_as_one(tmp_path, monkeypatch):
    broken = RuntimeError("Connection closed by peer")
    monkeypatch.setattr(module, "lost_processes", lambda: ["WorkerDict_1:0, process 9 on 10.0.0.2: its node has died"])
    with pytest.raises(SystemExit, match="WorkerDict_1:0, process 9 .*\n  seen as RuntimeError: Connection closed"):
        ended(tmp_path, broken)


def test_any_other_end_is_left_as_it_is(tmp_path):
    for error in (None, ValueError("x")):
        ended(tmp_path, error)
