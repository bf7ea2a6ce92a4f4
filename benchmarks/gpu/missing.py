"""Empty stand-ins for packages that are not installed, which verl imports and no stage calls."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

PACKAGES = ("ray", "datasets", "pandas", "pyarrow")


def stand_in_for_missing_packages() -> None:
    """Let ``import`` find an empty module for every module of the PACKAGES that are not installed."""
    missing = {name for name in PACKAGES if find_spec(name) is None}
    sys.meta_path.append(_Finder(missing))


class _Finder(MetaPathFinder, Loader):
    def __init__(self, packages: set[str]):
        self.packages = packages

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        is_missing = fullname.partition(".")[0] in self.packages
        return ModuleSpec(fullname, self, is_package=True) if is_missing else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


class _Empty(types.ModuleType):
    """A module whose capitalised names are empty classes, and whose other names are decorators that do nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {}) if name[0].isupper() else _decorate


def _decorate(*arguments: Any, **_: Any) -> Any:
    """Return the decorated object unchanged, as ``@decorate`` or ``@decorate(...)``."""
    return arguments[0] if arguments and callable(arguments[0]) else lambda decorated: decorated
