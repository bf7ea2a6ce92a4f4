"""The pages keep up with the code: links lead somewhere, and every knob and alarm has its line."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from verl_plugins.health.checks import CHECKS
from verl_plugins.methods import METHODS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page):
    """Return the anchors that GitHub derives from a page's headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_page_and_every_knob_a_line(method):
    page = (ROOT / "docs" / "methods" / f"{method}.md").read_text()
    assert "## When it fails" in page and "## What was measured" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for field in fields(METHODS[method].config):
        assert any(f"`{field.name}`" in row.split("|")[1] for row in rows), field.name


def test_every_message_of_the_questions_is_one_of_the_code():
    """Each piece of a heading in code, between the ellipses, is part of a text in the code."""
    page = (ROOT / "docs" / "questions.md").read_text()
    messages = re.findall(r"(?m)^### `(.*[ :].*)`$", page)
    assert len(messages) > 12
    files = [path for folder in ("verl_plugins", "data_prep", "reward_fns") for path in (ROOT / folder).rglob("*.py")]
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for message in messages:
        for piece in message.split("…"):
            assert any(piece.strip() in text for text in texts), f"{message}: {piece}"


def test_every_alarm_and_limit_has_a_line():
    rows = (ROOT / "docs" / "health.md").read_text().splitlines()
    for check in CHECKS:
        (row,) = [row for row in rows if row.startswith(f"| `{check.alarm}` |")]
        assert f"`{check.limit}` {check.default:g}".replace("e-05", "e-5") in row, check
