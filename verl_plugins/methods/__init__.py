"""The registry of methods. ``METHODS`` maps each method's name to its declaration, in the order in which methods act.

The name is the value of ``+method=``, the key ``algorithm.<name>`` and the advantage estimator in verl's registry.
Methods of other packages join through entry points of the group ``verl_plugins.methods``.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from verl_plugins.methods.method import Method

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


def load_installed_methods() -> None:
    """Import the methods of other packages and append them to ``METHODS``.

    Raises:
        ValueError: an entry point cannot be imported, is not a ``Method``, or takes a name that another method has.
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


def methods_in(value: str) -> list[Method]:
    """Return the methods that a value of ``+method=`` names, e.g. "vepo" or "[ecvgpo,vepo]"; "grpo" names none."""
    load_installed_methods()
    names = re.findall(r"\w+", value)
    return [method for name, method in METHODS.items() if name in names]
