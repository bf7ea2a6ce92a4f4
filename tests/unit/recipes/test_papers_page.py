"""docs/papers.md: each command composes against verl's config, or is one that the evaluation accepts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from verl_plugins.compose import compose_run, problems_of
from verl_plugins.evaluate import command_line

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "papers.md"


def commands(of):
    """Return the distinct commands of the page's tables that have ``of`` in them."""
    tables = "\n".join(line for line in PAGE.read_text().splitlines() if line.startswith("|"))
    quoted = re.findall(r"`([^`\n]+)`", tables)
    return sorted({command for command in quoted if of in command})


@pytest.mark.slow
@pytest.mark.parametrize("command", commands("recipes/run_"))
def test_a_recipes_command_composes(command, overrides_of):
    words = shlex.split(command)
    position = next(i for i, word in enumerate(words) if word.startswith("recipes/run_"))
    variables = dict(word.split("=", 1) for word in words[:position])
    for name in ("TRAIN_FILES", "VAL_FILES"):
        variables.pop(name, None)  # a data set of the reader's
    config = compose_run(overrides_of(ROOT / words[position], *words[position + 1 :], **variables))
    assert problems_of(config) == []


@pytest.mark.parametrize("command", commands("verl_plugins.evaluate"))
def test_an_evaluations_command_is_accepted(command, monkeypatch):
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "verl_plugins.evaluate"]
    seen = []
    monkeypatch.setattr("verl_plugins.evaluate.evaluation.run_evaluation", lambda job: seen.append(job) or 0)
    monkeypatch.setattr("verl_plugins.evaluate.compare.compare_runs", lambda *folders: seen.append(folders) or 0)
    assert command_line.main(words[3:]) == 0
    assert len(seen) == 1


def test_the_page_has_commands_and_results_in_every_row():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|") and not line.startswith("|---")]
    for row in rows:
        question, command, result = (cell.strip() for cell in row.strip("|").split(" | "))
        if question == "claim or question (source)":
            continue
        assert re.search(r"\[[^\]]+\]", question), f"no source: {row}"
        assert "`" in command or "the runs above" in command or "not possible" in command, row
        assert result == "–" or "not run" in result or "demo: " in result, row
    assert len(commands("recipes/run_")) > 60
