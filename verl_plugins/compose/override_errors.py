"""Hydra's errors about overrides in one line, with the nearest names that exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from omegaconf import DictConfig, OmegaConf

_GROUP = re.compile(
    r"Could not find '(?P<group>[^']+)/(?P<name>[^'/]+)'.*?"
    r"Available options in '[^']+':(?P<options>.*?)(?:Config search path|$)",
    re.DOTALL,
)
_PASSED_ON = ("reward_kwargs", "engine_kwargs", "mm_processor_kwargs", "apply_chat_template_kwargs", "override_config")
"""Nodes of verl's config below which verl passes any key on."""
_KEY = re.compile(r"Could not override '(?P<key>[^']+)'")


def override_problem(error: Exception, overrides: Sequence[str], compose: Callable[[Sequence[str]], DictConfig]) -> str:
    """Return Hydra's error as a line: what, got, expected, how to correct it.

    Args:
        error: what Hydra raised.
        overrides: those of the run.
        compose: composes a run's config, to look up the keys that exist.
    """
    text = str(error)
    if found := _GROUP.search(text):
        options = found["options"].split()
        near = difflib.get_close_matches(found["name"], options, 1, 0.4)
        fix = f"set +{found['group']}={near[0]}" if near else "set one of them"
        got = f"Could not find '{found['group']}/{found['name']}'"
        return f"overrides: got {got}, expected one of {', '.join(options)}; {fix}"
    if found := _KEY.search(text):
        key, given = found["key"], [each for each in overrides if found["key"] == each.partition("=")[0]]
        if not set(_PASSED_ON).isdisjoint(key.split(".")):
            return (
                f"overrides: got {', '.join(given) or key}, expected a + before a key that verl passes on and its "
                f"config lacks; set +{given[0] if given else key}"
            )
        near = _near_key(key, [each for each in overrides if each not in given], compose)
        fix = f"set {near}" if near else "correct it"
        return (
            f"overrides: got {', '.join(given) or key}, expected a key that the config has; {fix} (a leading + would "
            "add the key, and most often nothing reads it)"
        )
    return f"overrides: got {' '.join(text.split())}, expected overrides that Hydra can compose; correct them"


def _near_key(key: str, overrides: Sequence[str], compose: Callable[[Sequence[str]], DictConfig]) -> str | None:
    """Return the key that the config has in the place of ``key`` with the nearest name; None if none is near."""
    try:
        config = compose(overrides)
    except Exception:  # a second mistake, told once the first is corrected
        return None
    parent, _, last = key.rpartition(".")
    while parent and not OmegaConf.is_dict(_node(config, parent)):
        parent, _, last = parent.rpartition(".")
    siblings = [str(name) for name in (_node(config, parent) if parent else config)]
    near = difflib.get_close_matches(last, siblings, 1, 0.4)
    return ".".join(filter(None, (parent, near[0]))) if near else None


def _node(config: DictConfig, key: str) -> DictConfig:
    return OmegaConf.select(config, key, throw_on_missing=False)
