"""A hash of the code that makes and scores answers, so that results of two versions of it are not mixed."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

PACKAGES = ("verl_plugins", "data_prep", "reward_fns")
ENTRY_MODULES = (
    "verl_plugins.evaluate.answer_rows",
    "verl_plugins.evaluate.data_rows",
    "verl_plugins.evaluate.prompt_builder",
    "verl_plugins.evaluate.responder",
    "verl_plugins.evaluate.scoring",
    "verl_plugins.evaluate.benchmarks",
)


def code_sha256(root: Path, attack_modules: Sequence[str] = ()) -> str:
    """Hash `ENTRY_MODULES` and all first-party modules that they import, directly or through others.

    Imports are read from the source, those inside functions included; nothing is imported. A module that is only named
    in a string is not seen.

    Args:
        root: the folder that holds `PACKAGES`.
        attack_modules: modules of the evaluation's attack, to hash likewise. Those of other packages are left out.

    Raises:
        FileNotFoundError: a module of `ENTRY_MODULES` is missing.
    """
    digest = hashlib.sha256()
    for file in sorted(_source_files(root, attack_modules)):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def _source_files(root: Path, attack_modules: Sequence[str]) -> set[Path]:
    files: set[Path] = set()
    for module in ENTRY_MODULES:
        if _file_of(module, root) is None:
            raise FileNotFoundError(f"{root}: got no module {module}, expected the folder of {', '.join(PACKAGES)}")
    pending: list[str] = [*ENTRY_MODULES, *attack_modules]
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        if module in seen or module.partition(".")[0] not in PACKAGES:
            continue
        seen.add(module)
        if "." in module:
            pending.append(module.rpartition(".")[0])  # importing a module runs its package's __init__.py first
        file = _file_of(module, root)
        if file is not None:  # else a name defined in a module
            files.add(file)
            pending += _imports(file)
    return files


def _file_of(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


def _imports(file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports; the house has absolute imports only."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{file}: relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
