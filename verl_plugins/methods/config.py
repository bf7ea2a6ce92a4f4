"""Building a method's frozen config from Hydra's ``algorithm.<method>`` node. No framework imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def config_from_node(config_class: type[T], node: Mapping[str, Any], key: str) -> T:
    """Build ``config_class`` from the mapping found under ``key``, e.g. ``algorithm.ecvgpo``.

    Raises:
        ValueError: a knob that the method does not have, or a value that its config refuses.
    """
    known = [field.name for field in fields(config_class)]  # pyright: ignore[reportArgumentType]
    for name in node:
        if name not in known:
            raise ValueError(f"{key}.{name}: unknown setting, expected one of {', '.join(known)}; remove {key}.{name}")
    return config_class(**{name: node[name] for name in node})


def require_number(owner: str, name: str, value: Any, expected: str, accepted: bool) -> None:
    """Raise the one clear message (what, got, expected, key to set) unless ``accepted``."""
    if not accepted:
        raise ValueError(f"{owner}.{name}: got {value!r}, expected {expected}; set {owner}.{name}")


def is_number(value: Any) -> bool:
    """Whether a config value is a real number (Hydra reads ``r0=ten`` as a string and ``r0=true`` as a bool)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
