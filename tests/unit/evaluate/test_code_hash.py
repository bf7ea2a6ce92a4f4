"""The hash of the evaluation's code sees what answers and scores depend on, and nothing else."""

import shutil
from pathlib import Path

import pytest

from verl_plugins.evaluate.code_hash import PACKAGES, code_sha256

ROOT = Path(__file__).parents[3]


@pytest.fixture
def copied_tree(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def changed_hash(root, name):
    file = root / name
    before = file.read_text()
    file.write_text(before + "\n# changed\n")
    digest = code_sha256(root)
    file.write_text(before)
    return digest


def test_the_hash_changes_with_every_dependency_and_with_nothing_else(copied_tree):
    digest = code_sha256(copied_tree)
    assert digest == code_sha256(ROOT)  # it depends on the files and not on where they lie
    for name in (
        "verl_plugins/evaluate/answer_rows.py",  # the key of a row's seed
        "verl_plugins/evaluate/scoring.py",
        "verl_plugins/evaluate/benchmarks/mathvista.py",
        "verl_plugins/evaluate/model_folder.py",  # the box space
        "verl_plugins/components/prompts.py",  # imported by the prompt builder
        "verl_plugins/internvl.py",
        "verl_plugins/seeds.py",
        "verl_plugins/__init__.py",  # every import of a module runs it
        "reward_fns/answers/text.py",  # by way of auto, math and answers
        "reward_fns/algebra_worker.py",
    ):
        assert changed_hash(copied_tree, name) != digest, name
    for name in (
        "verl_plugins/report/write_report.py",
        "verl_plugins/evaluate/results_page.py",
        "verl_plugins/evaluate/summary.py",  # counts what was scored
        "data_prep/command.py",
    ):
        assert changed_hash(copied_tree, name) == digest, name


def test_a_dependency_that_is_renamed_changes_the_hash(copied_tree):
    digest = code_sha256(copied_tree)
    file = copied_tree / "verl_plugins" / "seeds.py"
    file.rename(file.with_name("random_seeds.py"))
    assert code_sha256(copied_tree) != digest


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="got no module verl_plugins.evaluate.answer_rows"):
        code_sha256(tmp_path)
