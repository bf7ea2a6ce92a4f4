"""What a composed config sets otherwise than verl's own defaults, as YAML that a person reads first."""

from __future__ import annotations

from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

Path = tuple[str, ...]  # keys from the root to a setting


def differences(config: DictConfig, defaults: DictConfig) -> str:
    """Format the settings of ``config`` that are not in ``defaults``, or have another value there.

    A value that verl takes over from another key by interpolation is left out: it follows from that key.

    Returns:
        YAML with the nesting of the config. Where verl has another value, it stands behind the line; removed settings
        are comments at the end.
    """
    verl = _settings(OmegaConf.to_container(defaults, resolve=False))
    sections = {path[:depth] for path in verl for depth in range(len(path))}
    run = _settings(OmegaConf.to_container(config, resolve=False), sections)
    lines: list[str] = []
    above: Path = ()
    for path, value in run.items():
        if path in verl and verl[path] == value:
            continue
        shared = next(depth for depth in range(len(path)) if path[: depth + 1] != above[: depth + 1])
        lines += [f"{'  ' * depth}{path[depth]}:" for depth in range(shared, len(path) - 1)]
        above = path[:-1]
        remark = f"  # verl: {_value(defaults, path)}" if path in verl else ""
        lines.append(f"{'  ' * len(above)}{path[-1]}: {_value(config, path)}{remark}")
    kept = {path[:depth] for path in run for depth in range(1, len(path) + 1)}
    return "\n".join([*lines, *(f"# removed: {'.'.join(path)}" for path in verl if path not in kept)])


def _settings(tree: Any, sections: set[Path] | None = None, above: Path = ()) -> dict[Path, Any]:
    """List the settings of nested dictionaries in their order, by path.

    Args:
        tree: the dictionaries.
        sections: paths of the dictionaries that are opened even if nothing in them is a dictionary; None for all.
        above: path of ``tree``.
    """
    settings: dict[Path, Any] = {}
    for key, value in tree.items():
        path = (*above, str(key))
        is_section = isinstance(value, dict) and bool(value)
        if is_section and sections is not None and path not in sections:
            is_section = any(isinstance(part, dict) for part in value.values())
        settings |= _settings(value, sections, path) if is_section else {path: value}
    return settings


def _value(config: DictConfig, path: Path) -> str:
    """Format a resolved value on one line."""
    node: Any = config
    for key in path[:-1]:
        node = node[key]
    if OmegaConf.is_missing(node, path[-1]):
        return "to be set"
    value = node[path[-1]]
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("...\n").strip()
