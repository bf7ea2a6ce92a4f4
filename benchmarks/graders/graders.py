"""The graders that are compared: each says whether a response's final answer is the gold answer."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from graders.golds import Gold

Grader = Callable[[Gold, str], bool]

LIMIT_S = 5  # wall-clock time for one pair; it is the default of math-verify


def graders() -> dict[str, Grader]:
    """Return the graders by name.

    Raises:
        ModuleNotFoundError: mathruler is not installed.
    """
    if find_spec("mathruler") is None:
        raise ModuleNotFoundError(
            "graders: got an environment without mathruler, expected the package; `pip install mathruler`"
        )
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it warns of each pair that it cannot decide
    return {"ours": ours, "math-verify": math_verify, "mathruler": mathruler}


def ours(gold: Gold, answer: str) -> bool:
    """`reward_fns.math`, which is the only one to know the choices."""
    from reward_fns.math import compute_score

    extra_info = {"choices": list(gold.choices)} if gold.choices else None
    result = compute_score("graders", boxed(answer), gold.text, extra_info, form="boxed", timeout_s=LIMIT_S)
    return result["accuracy"] == 1


def math_verify(gold: Gold, answer: str) -> bool:
    """math-verify as its readme uses it, with both answers boxed."""
    from math_verify import parse, verify

    return verify(parse(boxed(gold.text)), parse(boxed(answer)))


def mathruler(gold: Gold, answer: str) -> bool:
    """The `grade_answer` that EasyR1 calls."""
    from mathruler.grader import grade_answer

    try:
        with _limit(LIMIT_S):
            return grade_answer(answer, gold.text)
    except Exception:  # of SymPy, or the time limit: EasyR1 would give no reward
        return False


def boxed(answer: str) -> str:
    return f"\\boxed{{{answer}}}"


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
