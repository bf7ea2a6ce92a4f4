"""Synthetic reasoning rows and their reward: the answer is what the image shows, and only that answer is rewarded."""

import re
import subprocess
import sys
from itertools import product

import pyarrow.parquet as pq
import pytest

from data_prep.row.schema import row_schema
from data_prep.synthetic.scenes import CELL, SIDE, ColouredShape
from data_prep.synthetic.shapes_reasoning import (
    FACTS,
    NUMBERS,
    OTHER_SHAPES,
    OTHER_SIZES,
    SHAPES,
    SIZES,
    make_question,
    make_row,
    make_scene,
)
from reward_fns.boxed import compute_score


def test_the_answer_is_the_sum_of_what_the_scene_shows():
    for split, index in [*(("train", index) for index in range(200)), *(("ood", index) for index in range(100))]:
        shapes = make_scene(index, split, 0)
        question, facts = make_question(index, split, 0)
        assert len(facts) in FACTS and len({fact.term for fact in facts}) == len(facts)
        assert all(fact.term in question for fact in facts)
        total = sum(_points(fact.term, shapes) for fact in facts)
        row = make_row(index, split, 0)
        assert row["reward_model"]["ground_truth"] == NUMBERS[total]
        assert row["extra_info"]["question"].startswith(question)


def _points(term: str, shapes: list[ColouredShape]) -> int:
    """What a term of a question is worth, read from its words alone."""
    if match := re.fullmatch(r"the number of (\w+) shapes", term):
        return sum(match[1] in (shape.colour, shape.size) for shape in shapes)
    if match := re.fullmatch(r"the number of (\w+)s", term):
        return sum(shape.kind == match[1] for shape in shapes)
    if match := re.fullmatch(r"one if there are more (\w+)s than (\w+)s", term):
        many, few = (sum(shape.kind == kind for shape in shapes) for kind in match.groups())
        return int(many > few)
    match = re.fullmatch(r"one if the (\w+) (\w+) is (at the top|on the left)", term)
    assert match, term
    (shape,) = (shape for shape in shapes if (shape.colour, shape.kind) == match.groups()[:2])  # only one is meant
    middles = ((shape.box[1] + shape.box[3]) / 2, (shape.box[0] + shape.box[2]) / 2)
    return int(middles[match[3] == "on the left"] < SIDE / 2)


def test_each_fact_says_what_is_read_and_what_it_is_worth():
    kinds = set()
    for index in range(100):
        for fact in make_question(index, "train", 0)[1]:
            kinds.add(fact.kind)
            statement, points = fact.say(fact.readings)
            assert points == fact.value and statement.endswith(f" {NUMBERS[points]}")
            assert all(0 <= reading <= fact.most for reading in fact.readings)
            others = [
                tuple(fact.most - reading for reading in fact.readings),
                *product(range(2), repeat=len(fact.readings)),
            ]
            assert len({fact.say(readings)[0] for readings in {*others, fact.readings}}) == len(
                {*others, fact.readings}
            )
    assert kinds == {"count", "place", "compare"}


def test_a_comparison_names_both_numbers():
    facts = (fact for index in range(50) for fact in make_question(index, "train", 0)[1] if fact.kind == "compare")
    fact = next(facts)
    statement, points = fact.say((2, 1))
    assert re.fullmatch(r"the \w+s number two and the \w+s one, which gives one", statement) and points == 1
    assert fact.say((1, 1))[1] == 0


def test_every_shape_lies_in_a_cell_of_its_own_and_other_pictures_have_more_of_other_sizes():
    for split, counts, sizes in (("train", SHAPES, SIZES), ("ood", OTHER_SHAPES, OTHER_SIZES)):
        for index in range(50):
            shapes = make_scene(index, split, 0)
            cells = {(x1 // CELL, y1 // CELL, (x2 - 1) // CELL, (y2 - 1) // CELL) for x1, y1, x2, y2 in _boxes(shapes)}
            assert len(cells) == len(shapes) in counts
            assert all(cell[:2] == cell[2:] for cell in cells)
            assert all(x2 - x1 == y2 - y1 for x1, y1, x2, y2 in _boxes(shapes))
            assert all(shape.box[2] - shape.box[0] in sizes[shape.size] for shape in shapes)
    assert not {*sum(SIZES.values(), ())} & {*sum(OTHER_SIZES.values(), ())}


def _boxes(shapes: list[ColouredShape]) -> list[tuple[int, int, int, int]]:
    return [shape.box for shape in shapes]


def test_a_row_is_a_pure_function_and_fits_the_schema(tmp_path):
    row = make_row(3, "val", 1)
    assert row == make_row(3, "val", 1) != make_row(4, "val", 1)
    command = [sys.executable, "-m", "data_prep", "shapes-reasoning", f"--out={tmp_path}", "--train=5", "--val=2"]
    subprocess.run([*command, "--ood=3"], check=True, capture_output=True)
    assert pq.read_schema(tmp_path / "train.parquet").equals(row_schema())
    assert [pq.read_metadata(tmp_path / f"{split}.parquet").num_rows for split in ("train", "val", "ood")] == [5, 2, 3]


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
