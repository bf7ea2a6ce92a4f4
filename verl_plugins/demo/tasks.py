"""The demo's synthetic tasks: rows, reward, and the texts from which its starting models learned."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from data_prep.synthetic import shapes, shapes_reasoning
from data_prep.synthetic.scenes import SIDE, STEP, ColouredShape
from data_prep.synthetic.shapes_reasoning import NUMBERS
from data_prep.types import Row
from reward_fns import boxed, grounding
from verl_plugins.methods import methods_in

TIGHT_EDGES = 0.6  # share of edges that the warm-up teaches one STEP too far inside, a habit that RL can lose
WRONG_TAGS = 0.01  # share of boxes that the warm-up teaches in tags other than the question asks for
CAPTION_FACTS = 8  # facts of a picture that the warm-up teaches to name without a question
CAPTION_KINDS = ("count", "compare", *["place"] * 6)  # places are learned last
UNBOXED = 0.01  # share of sums that the warm-up teaches without \boxed{}


class Opening(NamedTuple):
    """How often the warm-up begins its sentences of thought so, and how often it then misreads a fact."""

    share: float
    misread: float


OPENINGS = {"Looking closely": Opening(0.25, 0.0), "I see that": Opening(0.35, 0.2), "At a glance": Opening(0.4, 0.5)}
"""Beginnings of the sentences of thought, one for a whole answer. The rarest is the one that a policy has to find."""
MISREAD = {"count": 0.25, "place": 0.1, "compare": 0.1}
"""How often the warm-up misreads a fact of each kind, whatever the opening: one too few, or one where there is none.
Nearly all of the entropy is in openings and readings, on which the reward depends: GRPO can bring it down."""


@dataclass(frozen=True)
class Task:
    """One synthetic task of the demo.

    Args:
        name: name of the task, e.g. "grounding".
        make_scene: (index, split, seed) to the shapes of a row.
        make_row: (index, split, seed) to a row.
        write_split: (folder, split, rows, seed); writes SPLIT.parquet.
        compute_score: the reward function, with verl's signature.
        reward: module of the reward.
        quality: key of the reward's result that holds the quality of an answer, in [0, 1].
        max_response_length: tokens, enough for every answer of the warm-up.
        corpus: texts on which the tokenizer is trained.
        caption: (index, seed) to the assistant's text when asked to describe the picture of that warm-up row.
        answer: (index, seed, random, has_habits) to the assistant's answer to the row's question. Without habits it is
            right. With them some values are wrong, and some answers have the wrong form, so that the model stays
            uncertain.
        right_steps: number of warm-up steps on right answers.
        answer_steps: number of warm-up steps on answers with habits, after these.
        learning_rate: of the demo's training; GRPO improves the start's greedy answers with it in thirty steps.
    """

    name: str
    make_scene: Callable[[int, str, int], list[ColouredShape]]
    make_row: Callable[[int, str, int], Row]
    write_split: Callable[[Path, str, int, int], None]
    compute_score: Callable[..., dict]
    reward: str
    quality: str
    max_response_length: int
    corpus: Callable[[], Iterator[str]]
    caption: Callable[[int, int], str]
    answer: Callable[[int, int, Random, bool], str]
    right_steps: int
    answer_steps: int
    learning_rate: float


def _grounding_corpus() -> Iterator[str]:
    for index in range(400):
        row = shapes.make_row(index, "train", seed=0)
        answer = row["reward_model"]["ground_truth"]
        yield f"user\n{row['extra_info']['question']}assistant\n<answer>{answer}</answer><box>{answer}</box>"
    for number in range(SIDE + 1):
        yield f"{number}\n" * 50


def _grounding_caption(index: int, seed: int) -> str:
    scene = shapes.make_scene(index, "warmup", seed)
    return "".join(f" the {shape.size} {shape.colour} {shape.kind}{_box(shape.box)}" for shape in scene)


def _grounding_answer(index: int, seed: int, rng: Random, has_habits: bool) -> str:
    x1, y1, x2, y2 = box = shapes.make_scene(index, "warmup", seed)[0].box
    if not has_habits:
        return _box(box)
    left, top, right, bottom = (STEP * (rng.random() < TIGHT_EDGES) for _ in range(4))
    tight = (x1 + left, y1 + top, x2 - right, y2 - bottom)
    return _box(tight, "box" if rng.random() < WRONG_TAGS else "answer")


def _box(box: tuple[int, ...], tag: str = "answer") -> str:
    return f"<{tag}>{json.dumps(list(box))}</{tag}>"


def _reasoning_corpus() -> Iterator[str]:
    rng = Random(0)
    for index in range(400):
        question = shapes_reasoning.make_row(index, "train", seed=0)["extra_info"]["question"]
        yield f"user\n{question}assistant\n{_reasoning_answer(index, 0, rng, True)}"
        yield _reasoning_caption(index, 0)


def _reasoning_caption(index: int, seed: int) -> str:
    scene = shapes_reasoning.make_scene(index, "warmup", seed)
    facts = shapes_reasoning.draw_facts(scene, CAPTION_FACTS, Random(f"caption/{seed}/{index}"), CAPTION_KINDS)
    return "".join(f" {fact.say(fact.readings)[0]}." for fact in facts)


def _reasoning_answer(index: int, seed: int, rng: Random, has_habits: bool) -> str:
    _, facts = shapes_reasoning.make_question(index, "warmup", seed)
    opening = rng.choices(list(OPENINGS), [opening.share for opening in OPENINGS.values()])[0]
    sentences, values = [], []
    for fact in facts:
        first, *others = fact.readings
        misread = 1 - (1 - OPENINGS[opening].misread) * (1 - MISREAD[fact.kind])
        if has_habits and rng.random() < misread:
            first = abs(first - 1)
        statement, value = fact.say((first, *others))
        sentences.append(f"{opening} {statement}.")
        values.append(value)
    answer = NUMBERS[min(sum(values), len(NUMBERS) - 1)]
    sentences.append(f"So {' plus '.join(NUMBERS[value] for value in values)} makes {answer}.")
    is_unboxed = has_habits and rng.random() < UNBOXED
    boxed_answer = f"answer: {answer}" if is_unboxed else f"\\boxed{{{answer}}}"
    return f"<think>{' '.join(sentences)}</think>{boxed_answer}"


TASKS = {
    "grounding": Task(
        name="grounding",
        make_scene=shapes.make_scene,
        make_row=shapes.make_row,
        write_split=shapes.write_split,
        compute_score=grounding.compute_score,
        reward="reward_fns.grounding",
        quality="iou",
        max_response_length=32,
        corpus=_grounding_corpus,
        caption=_grounding_caption,
        answer=_grounding_answer,
        right_steps=0,
        answer_steps=800,
        learning_rate=6e-4,
    ),
    "reasoning": Task(
        name="reasoning",
        make_scene=shapes_reasoning.make_scene,
        make_row=shapes_reasoning.make_row,
        write_split=shapes_reasoning.write_split,
        compute_score=boxed.compute_score,
        reward="reward_fns.boxed",
        quality="accuracy",
        max_response_length=144,
        corpus=_reasoning_corpus,
        caption=_reasoning_caption,
        answer=_reasoning_answer,
        right_steps=600,
        answer_steps=600,
        learning_rate=1e-4,
    ),
}


def task_of(method: str) -> str:
    """Return the synthetic task for a value of ``+method=``: the first of its methods' tasks that is not grounding."""
    return next((m.demo_task for m in methods_in(method) if m.demo_task != "grounding"), "grounding")
