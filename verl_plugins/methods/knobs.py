"""Building and validating a method's frozen config from Hydra's node ``algorithm.<method>``. No framework imports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from verl_plugins.vision.perturb import Perturbation

T = TypeVar("T")


def config_from_node(config_class: type[T], node: Mapping[str, Any], key: str) -> T:
    """Build ``config_class`` from the mapping found under ``key``, e.g. ``algorithm.ecvgpo``.

    Raises:
        ValueError: no mapping, an unknown knob, or a value that the config refuses.
    """
    known = [field.name for field in fields(config_class)]  # pyright: ignore[reportArgumentType]
    if not isinstance(node, Mapping):
        raise ValueError(f"{key}: got {node!r}, expected its settings, e.g. {key}.{known[0]}; set these")
    for name in node:
        if name not in known:
            raise ValueError(f"{key}.{name}: unknown setting, expected one of {', '.join(known)}; remove {key}.{name}")
    return config_class(**{name: node[name] for name in node})


def require(key: str, config: Any, name: str, expected: str, accepts: Callable[[Any], bool]) -> None:
    """Check one knob of a method's config: its type must be that of the default, and ``accepts`` must hold.

    Raises:
        ValueError: what, got, expected, and the key to set.
    """
    value = getattr(config, name)
    default = next(field.default for field in fields(config) if field.name == name)
    is_bool = isinstance(value, bool)  # which Python counts as an int
    typed = is_number(value) if isinstance(default, float) else isinstance(value, type(default))
    typed = typed and is_bool == isinstance(default, bool)
    if not (typed and accepts(value)):
        raise ValueError(f"{key}.{name}: got {value!r}, expected {expected}; set {key}.{name}")


def require_perturbation(key: str, config: Any) -> Perturbation:
    """Build the perturbation of the image that a config describes by its ``perturbation``, ``strength``, ``schedule``,
    ``schedule_midpoint`` and ``schedule_steepness``.

    Raises:
        ValueError: a value that ``Perturbation`` refuses, with the key to set.
    """
    try:
        schedule = config.schedule, config.schedule_midpoint, config.schedule_steepness
        return Perturbation(config.perturbation, config.strength, *schedule)
    except ValueError as error:
        raise ValueError(f"{key}.{error}; set {key}.{str(error).partition(':')[0]}") from error


def is_number(value: Any) -> bool:
    """Tell whether a knob is a finite number: Hydra reads r0=ten as a string, r0=true as a bool, r0=inf as infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
