"""The demo's synthetic tasks: rows, reward, and the texts of the warm-up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from data_prep.synthetic import shapes, shapes_reasoning
from data_prep.synthetic.shapes import CELL, CELLS, SIDE, make_scene
from data_prep.synthetic.shapes_reasoning import ASIDES, CLOSINGS, CONNECTIVES, NUMBERS, OPENINGS, make_question
from data_prep.types import Row
from reward_fns import boxed, grounding
from verl_plugins.methods import methods_in

CORNER_NOISE = 0.15  # share of box corners that the warm-up teaches at random positions of the grid
WORD_NOISE = 0.04  # share of answer words that the warm-up teaches at random
WRONG_TAGS = 0.5  # share of boxes that the warm-up teaches in tags other than the question asks for
UNBOXED = 0.1  # share of answer words that the warm-up teaches without \boxed{}


@dataclass(frozen=True)
class Task:
    """One synthetic task of the demo.

    Args:
        name: name of the task, e.g. "grounding".
        make_row: (index, split, seed) to a row.
        write_splits: (folder, train rows, val rows, seed); writes train.parquet and val.parquet.
        compute_score: the reward function, with verl's signature.
        reward: module of the reward.
        quality: key of the reward's result that holds the quality of an answer, in [0, 1].
        corpus: texts on which the tokenizer is trained.
        caption: (index, seed) to the assistant's text when asked to list the shapes of that warm-up row.
        answer: (index, seed, random) to the assistant's answer to the row's question; some values are random, and some
            answers have the wrong form, so that the model stays uncertain.
        answer_steps: number of warm-up steps on such answers.
    """

    name: str
    make_row: Callable[[int, str, int], Row]
    write_splits: Callable[[Path, int, int, int], None]
    compute_score: Callable[..., dict]
    reward: str
    quality: str
    corpus: Callable[[], Iterator[str]]
    caption: Callable[[int, int], str]
    answer: Callable[[int, int, Random], str]
    answer_steps: int


def _grounding_corpus() -> Iterator[str]:
    for index in range(400):
        row = shapes.make_row(index, "train", seed=0)
        answer = row["reward_model"]["ground_truth"]
        yield f"user\n{row['extra_info']['question']}assistant\n<answer>{answer}</answer><box>{answer}</box>"
    for number in range(SIDE + 1):
        yield f"{number}\n" * 50


def _grounding_caption(index: int, seed: int) -> str:
    scene = make_scene(index, "warmup", seed)
    return "".join(f" the {shape.colour} {shape.kind}{_box(shape.box)}" for shape in scene)


def _grounding_answer(index: int, seed: int, rng: Random) -> str:
    box = make_scene(index, "warmup", seed)[0].box
    box = tuple(CELL * rng.randrange(CELLS + 1) if rng.random() < CORNER_NOISE else edge for edge in box)
    return _box(box, "box" if rng.random() < WRONG_TAGS else "answer")


def _box(box: tuple[int, ...], tag: str = "answer") -> str:
    return f"<{tag}>{json.dumps(list(box))}</{tag}>"


def _reasoning_corpus() -> Iterator[str]:
    rng = Random(0)
    for index in range(400):
        question = shapes_reasoning.make_row(index, "train", seed=0)["extra_info"]["question"]
        yield f"user\n{question}assistant\n{_reasoning_answer(index, 0, rng)}List the shapes."
        yield _reasoning_caption(index, 0)


def _reasoning_caption(index: int, seed: int) -> str:
    return ",".join(f" a {shape.colour} {shape.kind}" for shape in make_scene(index, "warmup", seed)) + "."


def _reasoning_answer(index: int, seed: int, rng: Random) -> str:
    _, sentence, word = make_question(index, "warmup", seed)
    if rng.random() < WORD_NOISE:
        same_category = next(words for words in (NUMBERS, shapes.KINDS, tuple(shapes.COLOURS)) if word in words)
        word = rng.choice(same_category)
    start = rng.choice(OPENINGS) + rng.choice(ASIDES)
    thought = f"<think>{start} {sentence} {word}{rng.choice(CLOSINGS)}</think>{rng.choice(CONNECTIVES)} "
    return thought + (f"answer: {word}" if rng.random() < UNBOXED else f"\\boxed{{{word}}}")


TASKS = {
    "grounding": Task(
        name="grounding",
        make_row=shapes.make_row,
        write_splits=shapes.write_splits,
        compute_score=grounding.compute_score,
        reward="reward_fns.grounding",
        quality="iou",
        corpus=_grounding_corpus,
        caption=_grounding_caption,
        answer=_grounding_answer,
        answer_steps=200,
    ),
    "reasoning": Task(
        name="reasoning",
        make_row=shapes_reasoning.make_row,
        write_splits=shapes_reasoning.write_splits,
        compute_score=boxed.compute_score,
        reward="reward_fns.boxed",
        quality="accuracy",
        corpus=_reasoning_corpus,
        caption=_reasoning_caption,
        answer=_reasoning_answer,
        answer_steps=350,
    ),
}


def task_of(method: str) -> str:
    """Return the synthetic task for a value of ``+method=``: the first of its methods' tasks that is not grounding."""
    return next((m.demo_task for m in methods_in(method) if m.demo_task != "grounding"), "grounding")
