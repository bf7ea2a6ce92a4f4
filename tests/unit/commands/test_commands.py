"""What the terminal tells a newcomer: the version, the methods with their knobs, the recipes."""

import os
import subprocess
from dataclasses import dataclass, fields
from importlib.metadata import EntryPoint, PackageNotFoundError
from pathlib import Path

import pytest
import tomllib
import yaml
from omegaconf import OmegaConf

from verl_plugins import cli
from verl_plugins.commands import methods as methods_command
from verl_plugins.methods import METHODS

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")

    def run(*arguments):
        code = cli.main(list(arguments))
        return code, capsys.readouterr()

    return run


def test_version(capsys, monkeypatch):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"verl-plugins {PROJECT['version']}\n"

    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cli, "version", version)
    assert cli.installed_version() == "(a checkout that is not installed)"


def test_the_citation_names_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


def test_the_methods_are_listed_with_what_they_are(command):
    code, output = command("methods")
    assert code == 0
    rows = dict(line.split(maxsplit=1) for line in output.out.splitlines() if line and not line.startswith("verl-"))
    assert rows.keys() == {*METHODS, "grpo"}
    assert rows["grpo"].startswith("verl's GRPO on the trainer")


@pytest.mark.parametrize("method", METHODS)
def test_every_knob_has_a_type_a_meaning_and_the_default_that_hydra_sets(method, command):
    code, output = command("methods", method)
    assert code == 0
    table = methods_command.knobs(method, methods_command.method_yamls()[method])
    assert [knob.name for knob in table] == [field.name for field in fields(METHODS[method].config)]
    composed = OmegaConf.load(ROOT / "verl_plugins" / "config" / "method" / f"{method}.yaml").algorithm[method]
    for knob in table:
        assert knob.type and len(knob.meaning) > 8, knob
        assert yaml.safe_load(knob.default) == composed[knob.name], knob
        (line,) = [line for line in output.out.splitlines() if line.startswith(f"{knob.name} ")]
        assert knob.type in line and f"  {knob.default}  " in line and line.endswith(knob.meaning)


def test_a_knob_as_it_is_printed(command):
    _, output = command("methods", "saei")
    lines = {line.split()[0]: " ".join(line.split()) for line in output.out.splitlines() if line}
    assert lines["steps"] == "steps int 1 number of PGD steps."  # not "true"
    assert lines["n2"].startswith("n2 int 6 responses sampled on the clean and on the adversarial image;")
    _, output = command("methods", "vepo")
    assert "strength float | None null of the perturbation" in " ".join(output.out.split())


def test_long_meanings_are_wrapped_to_the_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    _, output = command("methods", "vepo")
    lines = output.out.splitlines()
    assert max(map(len, lines[2:])) <= 90 and len(lines) > 20


def test_grpo_has_no_knobs_and_a_misspelt_method_is_told_the_names(command):
    assert "It has no knobs of its own." in command("methods", "grpo")[1].out
    code, output = command("methods", "ecvpgo")
    assert code == 2 and output.out == ""
    assert output.err == "methods: got ecvpgo, expected one of ecvgpo, grpo, noisyrollout, saei, vepo, vppo\n"


def test_a_method_of_another_package_is_among_them(monkeypatch):
    from own_methods import entropy_shaping

    from verl_plugins import methods

    point = EntryPoint("entropy_shaping", "own_methods.entropy_shaping:METHOD", methods.GROUP)
    monkeypatch.setattr(methods, "METHODS", dict(METHODS))
    monkeypatch.setattr(methods, "installed_methods", lambda: [point])
    yamls = methods_command.method_yamls()
    assert methods_command.summary("entropy_shaping", yamls["entropy_shaping"]).startswith("more credit for the tokens")
    alpha, kappa = methods_command.knobs("entropy_shaping", yamls["entropy_shaping"])
    assert alpha == ("alpha", "float", "0.4", "added advantage per nat of entropy.")
    assert kappa.default == str(entropy_shaping.EntropyShapingConfig.kappa)


def test_the_meanings_are_those_of_the_docstring():
    @dataclass
    class Config:
        """Settings.

        Args:
            low, high: bounds: of ``x``,
                in pixels.
            size: a size.

        Raises:
            ValueError: no knob.
        """

    assert methods_command.meanings_of(Config) == {
        "low": "bounds: of x, in pixels.",
        "high": "bounds: of x, in pixels.",
        "size": "a size.",
    }


def test_every_recipe_is_listed_with_what_it_trains(command):
    code, output = command("recipes")
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in output.out.splitlines() if line.startswith("run_"))
    assert listed.keys() == {path.name for path in (ROOT / "recipes").glob("run_*.sh")}
    assert listed["run_qwen2_5_vl_7b_vepo.sh"].startswith("VEPO on Geometry3K and MMK12 with Qwen2.5-VL-7B")
    assert all(len(text) > 20 for text in listed.values())


def test_recipes_are_copied_whole_and_over_nothing(command, tmp_path):
    folder = tmp_path / "there" / "recipes"
    code, output = command("recipes", "copy", str(folder))
    assert code == 0 and f"DRY_RUN=1 {folder}/run_" in output.out
    copied, own = ({path.relative_to(top) for path in top.rglob("*")} for top in (folder, ROOT / "recipes"))
    assert copied == own and Path("cluster/ssh.sh") in copied
    for script in folder.glob("run_*.sh"):
        assert os.access(script, os.X_OK), script
        subprocess.run(["bash", "-n", script], check=True)
    mine = folder / "common.sh"
    mine.write_text("mine")
    with pytest.raises(SystemExit, match=f"got {folder}, which is there and not empty, expected a new or empty"):
        cli.main(["recipes", "copy", str(folder)])
    with pytest.raises(SystemExit, match="expected a new or empty folder"):
        cli.main(["recipes", "copy", str(mine)])
    assert mine.read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert cli.main(["recipes", "copy", str(tmp_path / "empty")]) == 0
