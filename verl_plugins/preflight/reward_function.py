"""Checks that the run's reward function is there and takes what verl passes, without importing it.

verl imports it in its reward workers, once all models are loaded.
"""

from __future__ import annotations

import ast
import difflib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

KEY = "reward.custom_reward_function"
PACKAGE, FILE = "pkg://", "file://"
PASSED = ("data_source", "solution_str", "ground_truth", "extra_info")
"""What verl passes to a reward function, by name."""


def check_reward_function(config: DictConfig) -> list[str]:
    """Check the path, the name and the parameters of the reward function, as far as its source shows them."""
    custom = OmegaConf.select(config, KEY)
    if custom is None or not custom.path:
        return []
    path, name = str(custom.path), str(custom.name)
    source = source_of(path)
    if source is None:
        near = _near_paths(path, name)
        example = f", e.g. {near}" if near else ""
        return [f"{KEY}.path: got {path}, which is not there, expected a module or file with {name}{example}; "
                f"set {KEY}.path"]  # fmt: skip
    if source.suffix != ".py":
        return [] if source.is_file() and path.startswith(PACKAGE) else [
            f"{KEY}.path: got {path}, expected a Python file; set {KEY}.path"
        ]  # fmt: skip
    try:
        module = ast.parse(source.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        return [f"{KEY}.path: got {path}, which Python cannot read ({error}), expected a module; correct it"]
    names = _names(module)
    if names is None:
        return []  # names that only an import would show
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0.5) or [each for each in names if each == "compute_score"]
        example = f", e.g. {near[0]}" if near else ""
        return [f"{KEY}.name: got {name}, which {path} does not define, expected a function of it{example}; "
                f"set {KEY}.name"]  # fmt: skip
    function = next((each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == name), None)
    given = [str(key) for key in custom.get("reward_kwargs") or {}]
    return _check_parameters(function, path, given) if function and not function.decorator_list else []


def source_of(path: str) -> Path | None:
    """Return the file that verl would load for ``path``; None if there is none."""
    if not path.startswith(PACKAGE):
        file = Path(path.removeprefix(FILE))
        return file if file.is_file() else None
    try:
        with working_directory_on_path():
            spec = find_spec(path.removeprefix(PACKAGE).replace("/", "."))
    except (ImportError, ValueError, AttributeError):  # a package that is none, or that cannot be imported
        return None
    return Path(spec.origin) if spec and spec.origin else None


@contextmanager
def working_directory_on_path() -> Iterator[None]:
    """Import as ``python -m verl.trainer.main_ppo`` does, with the working directory first."""
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path.remove(os.getcwd())


def _near_paths(path: str, name: str) -> str | None:
    """Return the path that was probably meant: of a sibling that defines ``name``; None if none is near."""
    if not path.startswith(PACKAGE) and not path.endswith(".py") and source_of(f"{PACKAGE}{path}"):
        return f"{PACKAGE}{path}"  # reward_fns.grounding
    if path.startswith(PACKAGE):
        dotted = path.removeprefix(PACKAGE).replace("/", ".")
        package, _, last = dotted.rpartition(".")
        if last == name and source_of(f"{PACKAGE}{package}"):
            return f"{PACKAGE}{package}"  # pkg://reward_fns.grounding.compute_score
        package = package if source_of(f"{PACKAGE}{package}") else "reward_fns"
        home = source_of(f"{PACKAGE}{package}")
        folder, beginning = home and home.parent, f"{PACKAGE}{package}."
    else:
        file = Path(path.removeprefix(FILE))
        folder, beginning, last = file.parent, "", file.stem
    if not folder or not folder.is_dir():
        return None
    stems = [each.stem for each in folder.glob("*.py") if _defines(each, name)]
    near = difflib.get_close_matches(last, stems, 1, 0.5)
    if not near:
        return None
    return f"{beginning}{near[0]}" if beginning else str(folder / f"{near[0]}.py")


def _defines(file: Path, name: str) -> bool:
    try:
        return name in (_names(ast.parse(file.read_text(encoding="utf-8"))) or ())
    except (SyntaxError, ValueError, OSError):
        return False


def _names(module: ast.Module) -> set[str] | None:
    """Return the names that a module defines; None if its source does not show them all."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return None
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    text = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    return None if "__getattr__" in names or {"globals", "setattr"} & text else names


def _check_parameters(function: ast.FunctionDef, path: str, given: list[str]) -> list[str]:
    """Report what verl passes to a function, or the user through ``reward_kwargs``, and it does not take."""
    arguments = function.args
    if arguments.kwarg:
        return []
    taken = [each.arg for each in (*arguments.args, *arguments.kwonlyargs)]
    where = f"{path}'s {function.name}({', '.join(taken)})"
    if lacking := [name for name in PASSED if name not in taken]:
        return [f"{KEY}.path: got {where}, expected {', '.join(lacking)} too, which verl passes by name; add them, or "
                "**kwargs"]  # fmt: skip
    if unknown := [name for name in given if name not in taken]:
        settings = [name for name in taken if name not in PASSED]
        expected = f"some of {', '.join(settings)}" if settings else "none"
        return [f"{KEY}.reward_kwargs: got {', '.join(unknown)}, expected {expected}, as the other parameters of "
                f"{where}; set {KEY}.reward_kwargs"]  # fmt: skip
    return []
