"""What the warm-up teaches: right answers, and habits that cost some."""

from random import Random

import pytest

from verl_plugins.demo import tasks
from verl_plugins.demo.tasks import OPENINGS, TASKS

ROWS = 200


def share_right(task, has_habits):
    """Mean quality of the warm-up's answers."""
    rng = Random(0)
    texts = [task.answer(index, 0, rng, has_habits) for index in range(ROWS)]
    golds = [task.make_row(index, "warmup", 0)["reward_model"]["ground_truth"] for index in range(ROWS)]
    return sum(task.compute_score("", text, gold)[task.quality] for text, gold in zip(texts, golds, strict=True)) / ROWS


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_without_habits_every_answer_is_right(task):
    assert share_right(task, has_habits=False) == 1.0


def test_the_habits_cost_answers_in_both_tasks():
    assert 0.25 < share_right(TASKS["reasoning"], has_habits=True) < 0.5
    assert 0.6 < share_right(TASKS["grounding"], has_habits=True) < 0.9


@pytest.mark.parametrize(("choose", "least", "most"), [(min, 0.45, 0.65), (max, 0.15, 0.3)])
def test_the_opening_decides_how_often_a_sum_is_right(monkeypatch, choose, least, most):
    text = choose(OPENINGS, key=lambda text: OPENINGS[text].misread)
    monkeypatch.setattr(tasks, "OPENINGS", {text: OPENINGS[text]})
    assert least <= share_right(TASKS["reasoning"], has_habits=True) <= most
