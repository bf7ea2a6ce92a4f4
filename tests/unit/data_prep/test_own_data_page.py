"""docs/own_data.md: its example is converted by its commands as they stand, and its other commands are accepted."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import data_prep.__main__
import reward_fns.check
from reward_fns import auto

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "own_data.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def commands(beginning: str) -> list[str]:
    """Return the commands of the page with this text in them, each on one line."""
    lines = "\n".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ").splitlines()
    return [line for line in lines if beginning in line]


def run(command: str) -> None:
    words = shlex.split(command)
    assert words[:2] == ["python", "-m"]
    programs = {"data_prep": data_prep.__main__.main, "reward_fns": lambda argv: reward_fns.check.main(argv[1:])}
    programs[words[2]](words[3:])


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The folder in which the page's script and its conversions were run."""
    folder = tmp_path_factory.mktemp("own")
    (script,) = (text for kind, text in BLOCKS if kind == "python")
    (folder / "make_squares.py").write_text(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runpy.run_path("make_squares.py")
        (template,) = commands("echo '{question}")
        subprocess.run(["bash", "-c", template], check=True)
        conversions = commands("data_prep jsonl")
        assert len(conversions) == 3
        for command in conversions:
            run(f"{command} --processes 1")
    return folder


def rows_of(folder: Path, split: str) -> list[dict]:
    return pq.read_table(folder / f"{split}.parquet").to_pylist()


def test_the_example_becomes_rows_that_their_reward_pays(example):
    for name, reward in (("colours", "math"), ("boxes", "grounding")):
        train, val = (rows_of(example / "data" / name, split) for split in ("train", "val"))
        assert (len(train), len(val)) == (18, 6)
        assert (example / "data" / name / "rejects.jsonl").read_text() == ""
        for row in train + val:
            assert (row["data_source"], row["ability"]) == (f"{reward}/squares", reward)
            number = int(row["extra_info"]["id"].removeprefix("square "))
            colour, gold = ("red", "green", "blue")[number % 3], row["reward_model"]["ground_truth"]
            if name == "colours":
                assert gold == colour and row["prompt"][0]["content"].startswith("<image>Which colour is the square?")
                response = f"<think>so</think> \\boxed{{{colour}}}"
            else:
                assert json.loads(gold) == [8 + 2 * number, 10 + number, 40 + 2 * number, 42 + number]
                assert f"this sentence describes: the {colour} square" in row["prompt"][0]["content"]
                response = f"<answer>{gold}</answer>"
            assert auto.compute_score(row["data_source"], response, gold, row["extra_info"])["accuracy"] == 1


def test_the_checks_of_the_page_find_nothing(example, monkeypatch, capsys):
    monkeypatch.chdir(example)
    checks = commands("data_prep inspect") + commands("data_prep check") + commands("reward_fns check")
    assert len(checks) == 4
    for command in checks:
        run(command)
    printed = capsys.readouterr().out
    assert "0 in both" in printed and re.search(r"math/squares +math +24 +0 ", printed)
    assert (example / "data" / "boxes" / "train.html").read_text().count("<rect") == 2 * 18


def test_every_option_of_the_page_is_one_of_the_command(capsys):
    with pytest.raises(SystemExit):
        data_prep.__main__.main(["jsonl", "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    section = PAGE.partition("## 2. Convert")[2].partition("## 3.")[0]
    told = set(re.findall(r"--[a-z][a-z-]+", section))
    fields = {"--question", "--expression", "--answer", "--box", "--box-format", "--box-space", "--image", "--choices"}
    assert fields | {"--id", "--name", "--val-fraction"} <= told <= known


def test_the_evaluation_of_the_page_is_accepted(monkeypatch):
    from verl_plugins.evaluate import command_line

    jobs = []
    monkeypatch.setattr("verl_plugins.evaluate.evaluation.run_evaluation", lambda job: jobs.append(job) or 0)
    (command,) = commands("verl_plugins.evaluate")
    assert command_line.main(shlex.split(command)[3:]) == 0 and len(jobs) == 1


@pytest.mark.slow
def test_the_training_command_composes_and_reads_the_example(example):
    from verl_plugins.compose import compose_run, problems_of
    from verl_plugins.demo.assets import STARTS
    from verl_plugins.doctor.sampled_rows import Reader

    assert commands("copytree(") == ["copytree(STARTS / 'grounding', 'start')\""]
    shutil.copytree(STARTS / "grounding", example / "start")
    (command,) = commands("verl.trainer.main_ppo")
    words = shlex.split(command.replace("$PWD", str(example)))
    overrides = words[words.index("verl.trainer.main_ppo") + 1 :]
    config = compose_run([word for word in overrides if not word.startswith("hydra.")])
    assert problems_of(config) == []
    rows = Reader(config).read(example / "data" / "short" / "train.parquet")
    assert rows.sampled == 18 and rows.problems == {} and max(rows.prompts) < 256


@pytest.mark.slow
def test_the_recipes_of_the_page_compose_the_example(example):
    files, recipes = commands("export TRAIN_FILES="), commands("recipes/run_")
    assert len(files) == len(recipes) == 2
    (example / "recipes").symlink_to(ROOT / "recipes")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for number in range(2):
        script = f"{files[number]}\nexport DRY_RUN=1\n{recipes[number]}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=example, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert f"{example}/data/{('boxes', 'colours')[number]}/train.parquet" in done.stdout
