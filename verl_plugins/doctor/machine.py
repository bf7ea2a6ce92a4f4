"""The doctor on this machine: its GPUs and driver against torch, and against the GPUs that a run asks for."""

from __future__ import annotations

import os
import re
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_plugins.doctor.doctor_check import FAIL, OK, WARN, DoctorCheck, compared

GPUS = "trainer.n_gpus_per_node"
OLDEST_DRIVER = {"12": 525, "13": 580}
"""Major version of CUDA to the major version of the first NVIDIA driver that runs it."""

_DRIVER_FILE = Path("/proc/driver/nvidia/version")


def check_gpus_of_run(config: DictConfig) -> list[DoctorCheck]:
    """Check the GPUs of this machine for a run; with several machines, this one may have none."""
    if OmegaConf.select(config, "trainer.device") != "cuda":
        return []
    cluster = (
        config.trainer.nnodes > 1
        or bool(OmegaConf.select(config, "actor_rollout_ref.rollout.nnodes"))
        or os.environ.get("RAY_ADDRESS", "local") != "local"
        or (OmegaConf.select(config, "ray_kwargs.ray_init.address") or "local") != "local"
    )
    return [check_gpus(config.trainer.n_gpus_per_node, in_cluster=cluster)]


def check_gpus(expected: int | None = None, in_cluster: bool = False) -> DoctorCheck:
    """Check the GPUs, the driver and torch's CUDA.

    Args:
        expected: number of GPUs that are needed; None if this is not known.
        in_cluster: whether the GPUs may be on other machines, so that a lack of them here says nothing.
    """
    import torch

    names, driver, cuda = _gpu_names(), _driver(), torch.version.cuda
    got = ", ".join(filter(None, [_counted(names), driver and f"driver {driver}", f"torch for CUDA {cuda}"]))
    if cuda is None:
        got = f"{_counted(names)}, torch without CUDA"
    needs = OLDEST_DRIVER.get(str(cuda).partition(".")[0], 0)
    if driver and cuda and int(driver.partition(".")[0]) < needs:
        level = FAIL if expected else WARN
        return compared("GPUs", got, f"driver {needs} or newer", "update the driver, or take an older image", level)
    if expected is None or len(names) >= expected:
        return DoctorCheck("GPUs", f"GPUs: {got}", OK)
    if in_cluster:
        fix = "run the doctor on a machine that trains, unless this one only starts the run"
        return compared("GPUs", got, f"{expected} of this machine ({GPUS})", fix, WARN)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
    fix = f"set {GPUS}, or add +platform=cpu for a trial with a tiny model"
    return compared("GPUs", f"{got}{hidden}", f"{expected} ({GPUS})", fix)


def _counted(names: list[str]) -> str:
    kinds = {name: names.count(name) for name in names}
    return ", ".join(f"{count} x {name}" for name, count in kinds.items()) or "none"


def _gpu_names() -> list[str]:
    """Return the names of the visible GPUs; of none if the driver cannot be used."""
    import torch

    try:
        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    except (RuntimeError, AssertionError):  # a driver that is too old, or a build of torch without CUDA
        return []


def _driver() -> str | None:
    """Return the version of NVIDIA's driver, as its kernel module reports it; None if it is not loaded."""
    if not _DRIVER_FILE.is_file():
        return None
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", _DRIVER_FILE.read_text())
    return found[1] if found else None
