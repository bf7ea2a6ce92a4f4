"""`make gpu`: if a stage fails or hangs, the others still run, and the page reports it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import gpu.__main__ as command
import pytest
from gpu.line import Line, not_run
from gpu.page import page
from gpu.stages import STAGES, Outcome, Stage, run_stages

ROOT = Path(__file__).parents[3]
FACTS = {"hardware": "the machine"}
FAKES = {
    "good": "def measure(device):\n    yield Line('speed', '3 | 4 ms', '< 5', True, raw={'seconds': 3e-3})",
    "crashing": "def measure(device):\n    yield Line('first', '1')\n    raise ValueError('no such device')",
    "aborting": "import os\ndef measure(device):\n    yield Line('first', '1')\n    os.abort()",
    "hanging": (
        "import subprocess, time\n"
        "def measure(device):\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        "    yield Line('first', device, raw={'child': child.pid})\n"
        "    time.sleep(60)"
    ),
    "false": "def measure(device):\n    yield Line('error', '2', '< 1', False)",
}


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Stages that yield a line or two and import nothing."""
    for name, code in FAKES.items():
        (tmp_path / f"fake_{name}.py").write_text(f"from gpu.line import Line\n{code}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    limits = {"hanging": 2.0}
    return {name: Stage(name, f"Title of {name}", limits.get(name, 30.0), f"fake_{name}") for name in FAKES}


def test_a_failing_and_a_hanging_stage_leave_the_others(stages, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "STAGES", tuple(stages.values()))
    assert command.main(["--device", "cpu", "--out", str(tmp_path)]) == 1
    text = (tmp_path / "page.md").read_text()
    assert text in capsys.readouterr().out
    assert "**1 ok, 4 FAIL.**" in text  # good; crashing, aborting, hanging, and the line of false
    assert "| speed | 3 \\| 4 ms | < 5 | ok |" in text
    assert "ends: ValueError: no such device | ends by itself | **FAIL** |" in text
    assert "SIGABRT; its log, aborting.log, ends: " in text
    assert "killed after 2 s, its limit; its log: hanging.log" in text
    assert "| error | 2 | < 1 | **FAIL** |" in text
    assert text.count("| first | 1 |  |  |") == 2 and "| first | cpu |  |  |" in text  # written before the end
    results = {stage["name"]: stage for stage in json.loads((tmp_path / "page.json").read_text())["stages"]}
    assert results["good"]["lines"][0]["raw"] == {"seconds": 3e-3} and results["good"]["failure"] == ""
    assert results["hanging"]["seconds"] < 20
    child = Path(f"/proc/{results['hanging']['lines'][0]['raw']['child']}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"  # killed with its parent


def test_all_is_well_where_nothing_failed(stages, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "STAGES", (stages["good"], stages["false"]))
    assert command.main(["--device", "cpu", "--out", str(tmp_path), "--stages", "good"]) == 0
    assert "**1 ok, 0 FAIL.**" in (tmp_path / "page.md").read_text()


def test_a_stage_without_time_left_is_not_started_and_fails(stages, tmp_path):
    seen = []
    outcomes = run_stages(
        [stages["hanging"], stages["good"]], "cpu", tmp_path, budget_s=2.5, on_outcome=lambda o: seen.append(len(o))
    )
    assert [outcome.not_run for outcome in outcomes] == ["", "no time was left of the 2 s"]
    assert outcomes[1].is_failed and seen == [1, 2]
    assert "- good: no time was left of the 2 s\n" in page("cpu", FACTS, outcomes)


@pytest.mark.slow  # takes a minute: three processes that import verl
def test_nothing_fails_on_a_cpu_in_the_stages_with_the_packages_engine(tmp_path):
    chosen = [stage for stage in STAGES if stage.name in ("hooks", "fsdp2", "true_size")]
    outcomes = run_stages(chosen, "cpu", tmp_path)
    assert [outcome.stage.name for outcome in outcomes if outcome.is_failed or not outcome.lines] == []


def test_the_head_says_whose_figures_they_are():
    assert page("cpu", FACTS, []).startswith("# Rehearsed on a CPU: no figure here is a GPU's\n")
    assert page("cuda", FACTS, []).startswith("# Run on a GPU: the machine\n")


def test_the_page_ends_with_what_was_not_run():
    outcome = Outcome(STAGES[0], 1.0, [Line("error", "1"), not_run("speed", "no clock")])
    text = page("cpu", FACTS, [outcome])
    end = text[text.index("## Not run") :]
    assert "- kernel: speed: no clock\n" in end and "- entropy: not asked for\n" in end
    assert "speed" not in text[: text.index("## Not run")]


def test_the_package_still_has_what_the_stages_import():
    """Compared by name, because importing a stage would import verl."""
    checked = 0
    for path in (ROOT / "benchmarks" / "gpu").glob("*.py"):
        for module, name in imported_names(path):
            target = ROOT / module.replace(".", "/")
            if not (target / f"{name}.py").is_file():
                assert name in top_level_names(target.with_suffix(".py")), f"{path.name}: {module}.{name}"
                checked += 1
    assert checked > 30
    assert all((ROOT / "benchmarks" / "gpu" / f"{stage.name}.py").is_file() for stage in STAGES)


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("verl_plugins."):
            yield from ((node.module, alias.name) for alias in node.names)


def top_level_names(path):
    path = path if path.is_file() else path.with_suffix("") / "__init__.py"
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_verl_is_imported_without_ray():
    """The stages run in a process that cannot find ray, datasets, pandas and pyarrow."""
    code = (
        "import sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "import gpu.missing as missing\n"
        "missing.find_spec = lambda name: None\n"
        "missing.stand_in_for_missing_packages()\n"
        "sys.meta_path.insert(0, sys.meta_path.pop())\n"
        "import ray, ray.util.queue\n"
        "from ray.util.queue import Queue\n"
        "@ray.remote\n"
        "def one(): return 1\n"
        "@ray.remote(num_cpus=1)\n"
        "class Two(Queue): pass\n"
        "print(one(), Two.__name__, hasattr(ray, '__file__'))"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "benchmarks", capture_output=True, text=True)
    assert process.stdout.split() == ["1", "Two", "False"], process.stderr[-2000:]
