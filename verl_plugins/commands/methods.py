"""``verl-plugins methods``: the values of ``+method=``, and the knobs of each, in the terminal."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import shutil
import sys
import textwrap
from dataclasses import Field, fields
from typing import Any, NamedTuple


class Knob(NamedTuple):
    """A setting ``algorithm.<method>.<name>``; ``default`` is what ``+method=`` sets, as Hydra writes it."""

    name: str
    type: str
    default: str
    meaning: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("method", nargs="?", metavar="METHOD", help="print the knobs of this method")


def run(arguments: argparse.Namespace) -> int:
    """List the methods, or the knobs of one; returns 2 if there is no such method, 1 if yamls are missing, else 0."""
    try:
        yamls = method_yamls()
    except ValueError as problem:  # another package's
        print(f"methods: {problem}", file=sys.stderr)
        return 1
    if arguments.method is None:
        for name, text in yamls.items():
            print(f"{name:<{max(map(len, yamls))}}  {summary(name, text)}")
        print("\nverl-plugins methods METHOD    prints the knobs of one")
        return 0
    if arguments.method not in yamls:
        print(f"methods: got {arguments.method}, expected one of {', '.join(yamls)}", file=sys.stderr)
        return 2
    print(*description(arguments.method, yamls[arguments.method]), sep="\n")
    return 0


def method_yamls() -> dict[str, str]:
    """Return the text of each yaml of Hydra's group ``method``, of this package and of those that add methods.

    Raises:
        ValueError: a package that adds methods has no yamls.
    """
    from verl_plugins.methods import config_packages, yaml_folder

    folders = [yaml_folder(package) for package in config_packages()]
    paths = {path.name: path for folder in folders for path in folder.iterdir() if path.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): paths[name].read_text(encoding="utf-8") for name in sorted(paths)}


def summary(name: str, text: str) -> str:
    """Return what the comment ``# +method=NAME: ...`` at the top of a method's yaml says; empty without one."""
    comment = re.search(rf"(?m)^# \+method={name}: (.*)$", text)
    return comment[1] if comment else ""


def description(name: str, text: str) -> list[str]:
    """Return the lines that describe a method and its knobs."""
    lines = [f"+method={name}: {summary(name, text)}"]
    table = knobs(name, text)
    if not table:
        return [*lines, "It has no knobs of its own."]
    table.insert(0, Knob("knob", "type", "default", "meaning"))
    lines += [f"Set a knob by algorithm.{name}.KNOB=VALUE.", ""]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    indent = sum(widths) + 3 * 2
    wide = max(shutil.get_terminal_size((120, 24)).columns - indent, 40)
    for knob in table:
        first, *others = textwrap.wrap(knob.meaning, wide, break_on_hyphens=False) or [""]
        cells = (f"{cell:<{width}}  " for cell, width in zip(knob, widths, strict=False))
        lines += [("".join(cells) + first).rstrip(), *(" " * indent + other for other in others)]
    return lines


def knobs(name: str, text: str) -> list[Knob]:
    """Return the knobs of a method: types and meanings of its config's class, values of its yaml."""
    import yaml

    from verl_plugins.methods import METHODS, load_installed_methods

    load_installed_methods()
    if name not in METHODS:
        return []
    config = METHODS[name].config
    values = yaml.safe_load(text)["algorithm"][name]
    meanings = meanings_of(config)
    return [
        Knob(field.name, _type(field), _written(values.get(field.name)), meanings.get(field.name, ""))
        for field in fields(config)
    ]


def meanings_of(config: type) -> dict[str, str]:
    """Return the texts of the section "Args:" of a class's docstring, by name; ``n1, n2: ...`` is both names' text."""
    _, _, section = inspect.cleandoc(config.__doc__ or "").partition("Args:\n")
    section = textwrap.dedent(re.split(r"(?m)^\S", section, maxsplit=1)[0])
    return {
        name.strip(): " ".join(text.replace("``", "").split())
        for names, text in re.findall(r"(?m)^([\w, ]+): (.*(?:\n +.*)*)", section)
        for name in names.split(",")
    }


def _type(field: Field[Any]) -> str:
    return field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
