"""The rules of the house (docs/architecture.md) as tests."""

import ast
import graphlib
import re
import subprocess
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from verl_plugins.methods import METHODS
from verl_plugins.methods.method import Driver, imported

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "verl_plugins"
FOLDERS = ("verl_plugins", "data_prep", "reward_fns")
FRAMEWORKS = {"verl", "ray", "vllm", "transfer_queue", "omegaconf", "hydra", "transformers", "tensordict"}
TORCH_ONLY = [
    *(PACKAGE / "methods").glob("*.py"),
    *(p for name in ("__init__", "maths", "apply", "requirements") for p in (PACKAGE / "methods").rglob(f"{name}.py")),
    *(PACKAGE / "vision").rglob("*.py"),
    *(PACKAGE / "kernels").rglob("*.py"),
]
FORBIDDEN = {
    "verl_plugins/health": {"verl", "ray", "vllm", "torch", "transformers", "omegaconf", "hydra"},
    "verl_plugins/report": {"verl", "ray", "vllm", "torch", "transformers"},
    "verl_plugins/preflight": {"verl", "ray", "vllm", "transformers"},
    "data_prep": {"verl", "ray", "vllm", "torch", "transformers", "verl_plugins"},
    "reward_fns": {"verl", "ray", "vllm", "torch", "transformers", "verl_plugins"},
}
LAYERS = ("vision", "kernels"), ("components",), ("methods",), ("training",)
"""Folders of the package, lowest first; each imports only from those below it, and from itself."""

NAMES_METHODS = {
    "health/checks.py": "the metrics that its alarms watch",
    "evaluate/command_line.py": "an example in its help",
    "demo/demo_command.py": "the default of --method, and its help",
    "doctor/run_doctor.py": "an example in its help",
    "report/adversarial_images.py": "the module that writes its input",
    "report/tokens.py": "the module that writes its input",
    "__init__.py": "the package's docstring",
}
ROLES = {"__init__.py", "maths.py", "apply.py", "driver.py", "requirements.py"}


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def imports_of(path):
    """Dotted names of all imports of a file, those inside functions included."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_of(path):
    return {name.split(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize("path", sorted(set(TORCH_ONLY)), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_with_the_formulas_import_torch_at_most(path):
    assert packages_of(path) & FRAMEWORKS == set()


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_folder_does_not_import_what_it_must_do_without(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        allowed = {"ray"} if path.name == "on_ray.py" else set()
        assert FORBIDDEN[folder] & packages_of(path) - allowed == set(), path


def test_imports_between_the_layers_point_down():
    names = [name for layer in LAYERS for name in layer]
    for rank, layer in enumerate(LAYERS):
        below = {name for lower in LAYERS[:rank] for name in lower}
        for folder in layer:
            for path in (PACKAGE / folder).rglob("*.py"):
                used = {name.split(".")[1] for name in imports_of(path) if name.startswith("verl_plugins.")}
                assert used & set(names) <= below | set(layer), path


def test_a_method_never_imports_a_sibling():
    for name in METHODS:
        siblings = tuple(f"verl_plugins.methods.{other}" for other in METHODS if other != name)
        for path in (PACKAGE / "methods" / name).rglob("*.py"):
            assert [each for each in imports_of(path) if each.startswith(siblings)] == [], path


def test_no_file_outside_its_street_names_a_method():
    pattern = re.compile(rf"\b({'|'.join(METHODS)})\b")
    result = {}
    for path in PACKAGE.rglob("*.py"):
        place = str(path.relative_to(PACKAGE))
        if not place.startswith("methods/") and (lines := pattern.findall(path.read_text())):
            result[place] = lines
    assert result
    assert {place: lines for place, lines in result.items() if place not in NAMES_METHODS} == {}


def test_no_module_imports_itself_by_way_of_others():
    paths = [path.relative_to(ROOT).with_suffix("") for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    modules = {".".join(path.parts).removesuffix(".__init__"): path.with_suffix(".py") for path in paths}
    graph = {}
    for name, path in modules.items():
        graph[name] = {
            each if each in modules else each.rpartition(".")[0] for each in imports_of(ROOT / path)
        } & modules.keys()
    assert sum(map(len, graph.values())) > 300
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "training.modes",
        "training.frozen_vision",
        "methods.saei.adversarial_loops",
        "methods.noisyrollout.noisy_loops",
    ],
)
def test_a_module_can_be_imported_first_and_the_plugin_is_registered(module):
    code = f"import verl_plugins.{module}; from verl_plugins.doctor import registered_names as n; n.registered_names()"
    # verl's own names are verl's trainers where no run with +method has set the variable for its processes
    code += (
        "; from verl.trainer.ppo.v1 import get_trainer_cls\nassert 'plugins' not in get_trainer_cls('sync').__module__"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "not loaded" not in done.stderr, done.stderr[-2000:]


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_names_by_path_is_there(name):
    method = METHODS[name]
    assert issubclass(imported(method.driver), Driver)
    assert all(callable(imported(path)) for path in method.agent_loops.values())
    assert method.attack is None or callable(imported(method.attack))


def test_file_names_are_unique_but_for_the_roles():
    names = Counter(path.name for path in PACKAGE.rglob("*.py") if path.name not in ROLES)
    assert [name for name, number in names.items() if number > 1] == []


def test_class_names_are_unique():
    classes = Counter(
        node.name
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, number in classes.items() if number > 1] == []


def test_only_register_touches_the_registries():
    names = ("register_adv_est", "register_trainer", "register_policy_loss", "ADV_ESTIMATOR_REGISTRY[")
    for path in PACKAGE.rglob("*.py"):
        if path.name != "register.py":
            assert not any(name in path.read_text() for name in names), path


def test_every_method_has_its_yaml_and_its_page():
    for name in [*METHODS, "grpo"]:
        assert (PACKAGE / "config" / "method" / f"{name}.yaml").is_file()
        assert name == "grpo" or (ROOT / "docs" / "methods" / f"{name}.md").is_file()


def test_data_prep_and_rewards_start_without_heavy_imports():
    heavy = "sorted({'torch', 'verl', 'pandas'} & set(sys.modules))"
    code = f"import sys, data_prep.__main__, reward_fns.grounding; print({heavy})"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - started < 10  # seconds; not a benchmark, only "no framework was imported"
