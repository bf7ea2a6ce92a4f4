"""Synthetic reasoning rows and their reward: the answer is what the image shows, and only that answer is rewarded."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from data_prep.row.schema import row_schema
from data_prep.synthetic.shapes import COLOURS, KINDS, make_scene
from data_prep.synthetic.shapes_reasoning import ANSWERS, NUMBERS, make_question, make_row
from reward_fns.boxed import compute_score


def test_the_answer_is_what_the_scene_shows_and_no_other_word_fits():
    kinds_of_question = set()
    for index in range(300):
        shapes = make_scene(index, "train", 0)
        question, sentence, answer = make_question(index, "train", 0)
        kinds_of_question.add(question.split()[0])
        if question.startswith("What colour"):
            kind = question.split()[-1].rstrip("?")
            fits = {shape.colour for shape in shapes if shape.kind == kind}
            assert fits == {answer} <= set(COLOURS) and sentence == f"the {kind} is"
        elif question.startswith("What is"):
            colour = question.split()[3]
            fits = {shape.kind for shape in shapes if shape.colour == colour}
            assert fits == {answer} <= set(KINDS)
        else:
            kind = question.split()[2].removesuffix("s")
            assert NUMBERS.index(answer) == sum(shape.kind == kind for shape in shapes)
    assert kinds_of_question == {"What", "How"}


def test_a_row_is_a_pure_function_and_fits_the_schema(tmp_path):
    row = make_row(3, "val", 1)
    assert row == make_row(3, "val", 1) != make_row(4, "val", 1)
    assert row["reward_model"]["ground_truth"] in ANSWERS
    command = [sys.executable, "-m", "data_prep", "shapes-reasoning", f"--out={tmp_path}", "--train=5", "--val=2"]
    subprocess.run(command, check=True, capture_output=True)
    assert pq.read_schema(tmp_path / "train.parquet").equals(row_schema())
    assert pq.read_metadata(tmp_path / "val.parquet").num_rows == 2


GOOD = "<think>It is red.</think>\\boxed{red}"


@pytest.mark.parametrize(
    ("text", "gold", "score", "status"),
    [
        (GOOD, "red", 1.0, "ok"),
        ("<think>a</think> so \\boxed{ Red }.", "red", 1.0, "ok"),
        (GOOD, "blue", 0.1, "ok"),
        ("\\boxed{red}", "red", 0.9, "bad_format"),
        (GOOD + "\\boxed{red}", "red", 0.9, "bad_format"),
        ("\\boxed{blue} no, <think>a</think>\\boxed{red}", "red", 0.9, "bad_format"),
        ("<think>red</think>answer: red", "red", 0.0, "no_answer"),
        ("", "red", 0.0, "no_answer"),
        (GOOD, "", 0.0, "bad_gold"),
        (GOOD, None, 0.0, "bad_gold"),
        (None, "red", 0.0, "error"),
    ],
)
def test_rewards_by_hand(text, gold, score, status):
    result = compute_score("shapes_reasoning", text, gold)
    assert result["score"] == pytest.approx(score)
    assert result["status"] == status
    assert set(result) == {"score", "accuracy", "format", "status"}


def test_the_weight_of_the_form():
    assert compute_score("", GOOD, "blue", format_weight=0.5)["score"] == 0.5
    assert compute_score("", "\\boxed{red}", "red", format_weight=0.5)["score"] == 0.5
