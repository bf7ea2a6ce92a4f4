"""The pages of an evaluation and of a comparison on hostile text."""

import re
from pathlib import Path

import pytest
from evaluation_run import evaluate, job, own_row, write

from verl_plugins.evaluate.command_line import main
from verl_plugins.evaluate.results_page import model_name

ATTACK = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
SOURCE = f"{ATTACK}/refcoco"  # the reward is chosen by the part after the last slash
RIGHT = "<answer>[0, 0, 10, 10]</answer>"


def hostile_row(number):
    row = own_row(number, question=f"Q{ATTACK}", split=f"s{ATTACK}", source=SOURCE)
    row["prompt"] = [{"role": f"user{ATTACK}", "content": f"<image>P{ATTACK}"}]
    return row


def assert_escaped(html):
    assert "<script" not in html and "onerror=alert(1)>" not in html
    assert not re.search(r"https?://|<link|@import|url\(", html)  # and the page loads nothing


def test_both_pages_escape_everything_that_comes_from_data(tmp_path):
    rows = [hostile_row(number) for number in range(2)]
    rows[1]["images"] = [{"bytes": None, "path": f"gone{ATTACK}.png"}]
    data = write(tmp_path / "val.parquet", rows)
    evaluate(job(tmp_path, data, "a"), lambda number: RIGHT + ATTACK if number else ATTACK)
    evaluate(job(tmp_path, data, "b"), lambda number: ATTACK if number else RIGHT + ATTACK)
    html = (tmp_path / "a" / "report.html").read_text()
    assert_escaped(html)
    for text in ("Q", "P", "user", "gone", "/refcoco s"):
        assert f"{text}&lt;script&gt;" in html, text
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c")]) == 0
    html = (tmp_path / "c" / "comparison.html").read_text()
    assert_escaped(html)
    assert html.count("Q&lt;script&gt;") >= 4  # two headings, and the title of each drawing
    assert html.count("Found no box.") == 3  # a sentence on each card, and the description of one drawing
    assert "No picture: " in html


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("outputs/first/checkpoints/global_step_50/actor/huggingface", "first, step 50"),
        ("outputs/first/checkpoints/global_step_50/actor", "first, step 50"),
        ("checkpoints/project/experiment/global_step_7/actor/huggingface", "experiment, step 7"),
        ("models/Qwen2.5-VL-3B", "Qwen2.5-VL-3B"),
        ("merged/huggingface", "merged"),
    ],
)
def test_the_page_is_titled_by_the_run(folder, name):
    assert model_name(Path(folder)) == name
