"""Whether Python imports this project's ``data_prep`` and ``reward_fns``, or the user's modules of the same names.

``python -m verl.trainer.main_ppo`` puts the working directory first on Python's path, so that a folder of that name in
a user's project stands before the package that verl-plugins brings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

BESIDE = ("data_prep", "reward_fns")
"""Packages that stand beside ``verl_plugins`` wherever it is installed."""


def shadowed_packages(path: Sequence[str]) -> list[str]:
    """Find the packages of this project that another module stands before. Imports nothing.

    Args:
        path: folders that Python would search, first to last.

    Returns:
        One line per package: what, got, expected, what to do.
    """
    home = _found("verl_plugins", path).parents[1]
    problems = []
    for name in BESIDE:
        got, expected = _found(name, path), home / name / "__init__.py"
        if got != expected:
            problems.append(
                f"{name}: got {got.parent if got.name == '__init__.py' else got}, which stands before verl-plugins' "
                f"own on Python's path, expected {expected.parent}; rename the former, or start from another folder"
            )
    return problems


def packages_of_a_run() -> list[str]:
    """Find the packages that would be shadowed in ``python -m verl.trainer.main_ppo``, started in this folder."""
    return shadowed_packages([os.getcwd(), *sys.path])


def refuse_shadowed_packages() -> None:
    """End a command whose own packages are shadowed, before it imports them.

    Raises:
        SystemExit: with one line per package.
    """
    if problems := shadowed_packages(sys.path):
        raise SystemExit("\n".join(f"verl-plugins: {problem}" for problem in problems))


def _found(name: str, path: Sequence[str]) -> Path:
    """Return the file that ``import name`` would run; the name alone if there is none, as in a broken installation."""
    spec = PathFinder.find_spec(name, path) or find_spec(name)  # the latter for an importer that has no path
    return Path(spec.origin).resolve() if spec and spec.origin else Path(name)
