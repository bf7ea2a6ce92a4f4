"""Lost processes: ends a run that has lost a process or a node, with one message.

Ray reports a lost actor only to the calls that wait for that actor. Where verl waits for something else (another rank
in a collective with the lost one, or the replay buffer that a lost agent loop should fill), time limits of other
libraries end the run after minutes, or nothing does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import ray
from omegaconf import DictConfig
from ray import exceptions
from ray._private import state  # ray.util.state needs the dashboard, which may not run

ERRORS = (
    exceptions.RayActorError,
    exceptions.NodeDiedError,
    exceptions.WorkerCrashedError,
    exceptions.ObjectLostError,
    exceptions.RpcError,
)
"""Exceptions of a call whose actor or whose result was lost."""

PERIOD_S = 2.0
GRACE_S = 30.0
"""Seconds that verl may take to end by itself, with its own message."""
NOTICE_S = 5.0
"""Seconds that Ray may take to notice that a process ended; a peer may see its broken connection earlier."""


def lost_processes() -> list[str]:
    """List the actors of this driver's job whose process or node died, one line each, without those that were ended."""
    if not ray.is_initialized():
        return []
    try:
        dead = _actors("DEAD")
    except exceptions.RaySystemError:  # Ray is starting or shutting down
        return []
    lost = sorted((info for info in dead if _is_loss(info["DeathCause"])), key=lambda info: info["EndTime"])
    return [_described(info) for info in lost]


def _actors(actor_state: str) -> list[dict]:
    job = ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
    return list(state.actors(job_id=job, actor_state_name=actor_state).values())


def _is_loss(cause) -> bool:
    died = cause.actor_died_error_context
    ended_itself = "INTENDED" in died.error_message
    return cause.HasField("oom_context") or (
        died.Reason.Name(died.reason) in ("WORKER_DIED", "NODE_DIED") and not ended_itself
    )


def _described(info: dict) -> str:
    cause = info["DeathCause"]
    context = cause.oom_context if cause.HasField("oom_context") else cause.actor_died_error_context
    how = " ".join(context.error_message.split(" Some common causes")[0].split())
    return f"{_place(info)}: {how[:300]}"


def _place(info: dict) -> str:
    return f"{info['Name'] or info['ActorClassName']}, process {info['Pid']} on {info['Address']['IPAddress']}"


class LostProcessWatch:
    """Thread of the driver that ends the driver if a process was lost and the run has not ended within GRACE_S."""

    def __init__(self, config: DictConfig, grace_s: float = GRACE_S):
        self.config, self.grace_s = config, grace_s
        self.over = threading.Event()

    def start(self) -> None:
        """Start watching."""
        threading.Thread(target=self._watch, name="verl-plugins-losses", daemon=True).start()

    def stop(self) -> None:
        """Stop watching: the run has ended by itself."""
        self.over.set()

    def _watch(self) -> None:
        while not self.over.wait(PERIOD_S):
            lost = lost_processes()
            if lost and not self.over.wait(self.grace_s):
                print(lost_process_message(lost_processes(), self.config), file=sys.stderr, flush=True)
                os._exit(1)  # the main thread waits inside Ray; Ray's processes of this job end with the driver


def dead_engines() -> list[str]:
    """List the vLLM servers whose engine fails its health check; the engine is a process that Ray does not know."""
    if not ray.is_initialized():
        return []
    dead = []
    for info in _actors("ALIVE"):
        if info["ActorClassName"] == "vLLMHttpServer":
            health = ray.get_actor(info["Name"]).collective_rpc.remote("check_health")
            try:
                ray.get(health, timeout=NOTICE_S)
            except exceptions.GetTimeoutError:
                continue  # busy
            except exceptions.RayError as error:
                cause = getattr(error, "cause", error)
                dead.append(f"the engine of {_place(info)}: {type(cause).__name__}: {cause}")
    return dead


def wait_for_lost_processes() -> list[str]:
    """Return the lost processes and dead engines as soon as there are any, or nothing after NOTICE_S seconds."""
    deadline = time.monotonic() + NOTICE_S
    lost = lost_processes() or dead_engines()
    while ray.is_initialized() and not lost and time.monotonic() < deadline:
        time.sleep(0.5)
        lost = lost_processes()
    return lost


def lost_process_message(lost: list[str], config: DictConfig) -> str:
    """Say what was lost, and from where the same command resumes."""
    folder = Path(config.trainer.default_local_dir)
    latest = folder / "latest_checkpointed_iteration.txt"
    start = f"from {folder / f'global_step_{latest.read_text().strip()}'}" if latest.is_file() else "from the beginning"
    return (
        "verl-plugins: a process of the run was lost, on this machine or another:\n"
        + "\n".join(f"  {line}" for line in lost)
        + f"\n  the same command goes on {start}; memory (`dmesg` of the machine names what it killed) and "
        "`ray status` are where to look"
    )
