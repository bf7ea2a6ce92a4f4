"""The wheel, installed without the checkout: its commands, recipes and config, from another folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
UV = Path(sys.executable).with_name("uv")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the wheel, and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", ROOT], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = [UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", sys.executable]
    subprocess.run([*install, "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture
def installed(site, tmp_path):
    """Run a command in another folder, where the installed wheel comes first on Python's path and on PATH."""
    bins = f"{site / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*command, code=0, **variables):
        env = {**os.environ, "PYTHONPATH": str(site), "PATH": bins, "NO_COLOR": "1", **variables}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr[-3000:]
        return done.stdout

    return run


def test_its_packages_come_from_the_wheel_and_have_the_licence(installed, site):
    code = (
        "import json, sys, verl_plugins, data_prep, reward_fns\n"
        "from importlib.metadata import distribution\n"
        "d = distribution('verl-plugins')\n"
        "files = [m.__file__ for m in (verl_plugins, data_prep, reward_fns)] + [str(d.locate_file(''))]\n"
        "print(json.dumps([files, d.metadata['License-Expression'], d.read_text('licenses/LICENSE')]))"
    )
    files, licence, text = json.loads(installed(sys.executable, "-c", code))
    assert all(Path(file).is_relative_to(site) for file in files), files
    assert licence == "Apache-2.0" and text == (ROOT / "LICENSE").read_text()


def test_its_commands_run(installed):
    assert installed("verl-plugins", "--version").startswith("verl-plugins ")
    assert "algorithm.vepo.KNOB=VALUE" in installed("verl-plugins", "methods", "vepo")
    assert "run_qwen2_5_vl_7b_vepo.sh" in installed("verl-plugins", "recipes")
    assert "usage: python -m data_prep NAME" in installed(sys.executable, "-m", "data_prep", "--help")
    assert "usage:" in installed(sys.executable, "-m", "verl_plugins.evaluate", "--help")


def test_a_copied_recipe_composes_the_run(installed, tmp_path, parquet):
    installed("verl-plugins", "recipes", "copy", "my_recipes")
    scripts = [*(tmp_path / "my_recipes").rglob("*.sh"), *(tmp_path / "my_recipes").rglob("*.sbatch")]
    assert len(scripts) > 30
    for script in scripts:
        installed("bash", "-n", str(script))
    files = {"TRAIN_FILES": str(parquet), "VAL_FILES": str(parquet)}
    config = yaml.safe_load(
        installed("my_recipes/run_qwen2_5_vl_7b_vepo.sh", "algorithm.vepo.alpha=0.5", DRY_RUN="1", **files)
    )
    assert config["algorithm"]["vepo"]["alpha"] == 0.5
    assert config["algorithm"]["adv_estimator"] == "vepo"
    assert config["trainer"]["experiment_name"] == "run_qwen2_5_vl_7b_vepo"
