"""The house rules that imports must keep (docs: README, "The tree")."""

import ast
import graphlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "verl_plugins/methods": {"verl", "ray", "vllm", "transfer_queue", "omegaconf", "hydra", "transformers"},
    "verl_plugins/vision": {"verl", "ray", "vllm", "transfer_queue", "omegaconf", "hydra", "transformers"},
    "verl_plugins/kernels": {"verl", "ray", "vllm", "transfer_queue", "omegaconf", "hydra", "transformers"},
    "verl_plugins/health": {"verl", "ray", "vllm", "torch", "transformers", "omegaconf", "hydra"},
    "verl_plugins/report": {"verl", "ray", "vllm", "torch", "transformers"},
    "data_prep": {"verl", "ray", "vllm", "torch", "transformers", "verl_plugins"},
    "reward_fns": {"verl", "ray", "vllm", "torch", "transformers", "verl_plugins"},
}

ROOMS_WITH_VERL = ("driver.py", "attack.py", "attacked_images.py", "requirements.py")


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        if path.name in ROOMS_WITH_VERL:
            continue
        allowed = {"ray"} if path.name == "on_ray.py" else set()
        assert not (FORBIDDEN[folder] - allowed) & set(imported_packages(path)), path


def test_no_module_imports_itself_by_way_of_others():
    folders = ("verl_plugins", "data_prep", "reward_fns")
    paths = [path.relative_to(ROOT).with_suffix("") for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules = {".".join(path.parts).removesuffix(".__init__"): path.with_suffix(".py") for path in paths}
    graph = {}
    for name, path in modules.items():
        names = set()
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ImportFrom):
                parts = [f"{node.module}.{alias.name}" for alias in node.names]
                names |= {part if part in modules else node.module for part in parts}
        graph[name] = names & modules.keys()
    assert sum(map(len, graph.values())) > 300
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_only_register_touches_the_registries():
    names = ("register_adv_est", "register_trainer", "register_policy_loss", "ADV_ESTIMATOR_REGISTRY[")
    for path in (ROOT / "verl_plugins").rglob("*.py"):
        if path.name != "register.py":
            assert not any(name in path.read_text() for name in names), path


def test_a_method_stays_one_readable_file():
    for path in (ROOT / "verl_plugins" / "methods").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 150, path


def test_every_method_has_its_hydra_yaml():
    from verl_plugins.methods import METHODS

    for name in [*METHODS, "grpo"]:
        assert (ROOT / "verl_plugins" / "config" / "method" / f"{name}.yaml").is_file()


def test_data_prep_and_rewards_start_without_heavy_imports():
    heavy = "sorted({'torch', 'verl', 'pandas'} & set(sys.modules))"
    code = f"import sys, data_prep.__main__, reward_fns.grounding; print({heavy})"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - started < 10  # seconds; not a benchmark, only "no framework was imported"
