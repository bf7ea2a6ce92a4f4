"""Checks of the settings of this package's rewards, which would otherwise fail for every response."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from verl_plugins.preflight.reward_function import FILE, KEY, PACKAGE


def check_reward(config: DictConfig) -> list[str]:
    """Check that the run's reward, if it is one of this package, accepts its settings."""
    name = own_reward(config)
    if name is None:
        return []
    try:
        checked = module_of(name).settings_of(**reward_settings(config))
    except ValueError as problem:
        return [str(problem)]
    grounding = checked.get("grounding", {}) if name == "auto" else checked if name == "grounding" else {}
    where = f"{KEY}.reward_kwargs.grounding" if name == "auto" else f"{KEY}.reward_kwargs"
    return _check_pixels(config, grounding, where)


def check_sources(path: Path, config: DictConfig) -> list[str]:
    """Check that ``reward_fns.auto``, if it is the run's reward, knows each ``data_source`` of a file."""
    if own_reward(config) != "auto" or "data_source" not in pq.read_schema(path).names:
        return []
    from reward_fns import auto

    routes, problems = reward_settings(config).get("routes"), []
    for source in pq.read_table(path, columns=["data_source"]).column(0).unique().to_pylist():
        try:
            auto.reward_of(source, routes)
        except ValueError as problem:
            problems.append(str(problem))
    return problems


def own_reward(config: DictConfig) -> str | None:
    """Return the name of this package's reward that the run uses: "auto", "grounding", ...; None if it is another."""
    from reward_fns import auto  # here, after check_run has seen that it is this project's

    custom = OmegaConf.select(config, KEY)
    if custom is None or not custom.path or custom.name != "compute_score":
        return None
    path = str(custom.path)
    for name in ("auto", *auto.REWARDS):
        module = module_of(name)
        if path.startswith(PACKAGE):
            is_own = path.removeprefix(PACKAGE).replace("/", ".") == module.__name__
        else:
            is_own = Path(path.removeprefix(FILE)).resolve() == Path(str(module.__file__))
        if is_own:
            return name
    return None


def module_of(name: str) -> ModuleType:
    """Return the module of a reward of this package."""
    from reward_fns import auto

    return {"auto": auto, **auto.REWARDS}[name]


def reward_settings(config: DictConfig) -> dict[str, Any]:
    """Return the run's ``reward_kwargs``."""
    settings: Any = OmegaConf.to_container(
        OmegaConf.select(config, f"{KEY}.reward_kwargs") or OmegaConf.create(), resolve=True
    )
    return settings


def _check_pixels(config: DictConfig, grounding: dict[str, Any], where: str) -> list[str]:
    """Report limits of an image's size in the reward, which scales boxes by them, other than the processor's."""
    if grounding.get("box_space") != "processed":
        return []
    from reward_fns.boxes.spaces import area_limits

    names, problems = ("min_pixels", "max_pixels"), []
    factor = int(grounding["patch_size"]) * int(grounding["merge_size"])
    limits = area_limits(factor, *(grounding[name] for name in names))
    for name, limit in zip(names, limits, strict=True):
        of_run = OmegaConf.select(config, f"data.mm_processor_kwargs.{name}")
        if of_run is not None and limit != of_run:
            problems.append(
                f"{where}.{name}: got {limit}, expected {of_run}, that of data.mm_processor_kwargs (boxes are "
                f"scaled by the size of the resized image); set {where}.{name}"
            )
    return problems
