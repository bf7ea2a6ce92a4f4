"""A user's module named data_prep or reward_fns, which stands before this project's, is told with both paths."""

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from verl_plugins.hydra_plugin import Preflight
from verl_plugins.own_packages import shadowed_packages
from verl_plugins.preflight import check_run

ROOT = Path(__file__).parents[2]
NAMES = ("data_prep", "reward_fns")


def package(folder, text=""):
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)
    return folder


def module(path):
    path.write_text("")
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "make",
    [
        lambda folder, name: package(folder / name),
        lambda folder, name: package(folder / name, "import a_module_that_is_not_there"),
        lambda folder, name: module(folder / f"{name}.py"),
    ],
    ids=["package", "package that cannot be imported", "file"],
)
def test_a_module_that_stands_before_is_told_with_both_paths(name, make, tmp_path):
    theirs = make(tmp_path, name)
    (problem,) = shadowed_packages([str(tmp_path), *sys.path])
    assert problem.startswith(f"{name}: got {theirs}, which stands before")
    assert f"expected {ROOT / name}; rename" in problem


def test_both_at_once_are_two_lines(tmp_path):
    for name in NAMES:
        package(tmp_path / name)
    assert len(shadowed_packages([str(tmp_path), *sys.path])) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: (folder / "reward_fns").mkdir(),  # no package without __init__.py: ours, further on, is found
        lambda folder: (folder / "data_prep.ipynb").write_text("{}"),
        lambda folder: package(folder / "reward_functions"),
        lambda folder: package(folder / "src" / "data_prep"),
        lambda folder: [package(folder / name) for name in ("verl_plugins", *NAMES)],  # another checkout, whole
    ],
    ids=["plain folder", "notebook", "another name", "deeper", "another checkout"],
)
def test_what_stands_before_nothing_is_accepted(make, tmp_path):
    make(tmp_path)
    assert shadowed_packages([str(tmp_path), *sys.path]) == []


def test_a_module_behind_this_projects_is_accepted(tmp_path):
    package(tmp_path / "reward_fns")
    assert shadowed_packages([*sys.path, str(tmp_path)]) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_run_started_beside_such_a_folder_is_refused_with_that_line_alone(name, tmp_path, monkeypatch):
    """As ``python -m verl.trainer.main_ppo`` would find it; an installed command has another path."""
    package(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    reward = {"custom_reward_function": {"path": "pkg://reward_fns.grounding", "name": "compute_score"}}
    config = OmegaConf.create({"reward": reward, "trainer": {"device": "cpu"}})
    (problem,) = check_run(config)
    assert problem.startswith(f"{name}: got {tmp_path / name}, ")
    with pytest.raises(SystemExit, match=f"this run cannot start:\n  {name}: got"):
        Preflight().on_job_start(config)


@pytest.mark.parametrize("module", ["verl_plugins.cli", "verl_plugins.evaluate"])
def test_a_command_started_beside_such_a_folder_is_one_line(module, tmp_path):
    package(tmp_path / "data_prep")
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"verl-plugins: data_prep: got {tmp_path / 'data_prep'}, ")
