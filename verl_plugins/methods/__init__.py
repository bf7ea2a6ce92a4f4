"""The registry of methods. ``METHODS`` maps each method's name to its declaration, in the order in which methods act.

The name is the value of ``+method=``, the key ``algorithm.<name>`` and the advantage estimator in verl's registry.
Methods of other packages join through entry points of the group ``verl_plugins.methods``.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import TYPE_CHECKING

from verl_plugins.methods.method import Method

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # of Python 3.11

NAMES = ("ecvgpo", "vepo", "vppo", "saei", "noisyrollout")
METHODS: dict[str, Method] = {name: import_module(f"{__name__}.{name}").METHOD for name in NAMES}

GROUP = "verl_plugins.methods"


def installed_methods() -> list[EntryPoint]:
    """Return the entry points of methods in other packages, by name; nothing is imported."""
    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def config_packages() -> list[str]:
    """Return the packages whose folder ``config`` has Hydra groups: this one, and those that add methods."""
    packages = ["verl_plugins", *(point.module.partition(".")[0] for point in installed_methods())]
    return list(dict.fromkeys(packages))


def yaml_folder(package: str) -> Traversable:
    """Return the folder ``config/method`` of a package, with the yaml of each of its methods.

    Raises:
        ValueError: the package has no such folder, or Python does not take ``config`` for a package.
    """
    try:
        folder = files(f"{package}.config") / "method"
        is_folder = folder.is_dir()
    except (
        ImportError,
        OSError,
        TypeError,
    ):  # an editable installation without __init__.py has a path that is no folder
        is_folder = False
    if not is_folder:
        raise ValueError(
            f"package {package}, which adds methods: got no folder config/method of yaml files, expected it beside "
            f"{package}/config/__init__.py; add both, name {package}.config among the packages and method/*.yaml as "
            "its data, and install the package again"
        )
    return folder


def load_installed_methods() -> None:
    """Import the methods of other packages and append them to ``METHODS``.

    Raises:
        ValueError: an entry point cannot be imported, is not a ``Method``, takes a name that another method has, or has
            no yaml.
    """
    for point in installed_methods():
        try:
            method = point.load()
        except Exception as error:  # of somebody else's module
            raise ValueError(
                f"entry point {point.name} of {GROUP}: got {point.value}, which cannot be imported "
                f"({type(error).__name__}: {error}), expected a verl_plugins.methods.method.Method; repair or "
                "uninstall its package"
            ) from error
        if not isinstance(method, Method):
            raise ValueError(
                f"entry point {point.name} of {GROUP}: got {point.value}, a {type(method).__name__}, expected a "
                "verl_plugins.methods.method.Method; correct the entry point"
            )
        if METHODS.setdefault(point.name, method) is not method:
            raise ValueError(
                f"entry point {point.name} of {GROUP}: got {point.value}, expected a name that no other method has; "
                "rename the entry point"
            )
        if not (yaml_folder(point.module.partition(".")[0]) / f"{point.name}.yaml").is_file():
            raise ValueError(
                f"entry point {point.name} of {GROUP}: got no {point.name}.yaml in its package's config/method, "
                f"expected the yaml that +method={point.name} composes; add it, and install the package again"
            )


def methods_in(value: str) -> list[Method]:
    """Return the methods that a value of ``+method=`` names, e.g. "vepo" or "[ecvgpo,vepo]"; "grpo" names none."""
    load_installed_methods()
    names = re.findall(r"\w+", value)
    return [method for name, method in METHODS.items() if name in names]
