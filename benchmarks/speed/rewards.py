"""Rewards per second: grounding and simple maths on two processes, and a batch with 5% pathological maths.

    PYTHONPATH=benchmarks python -m speed.rewards [--rewards 200000] [--batch 400]

Grounding and simple maths run as in verl, with one reward worker per core, here two. "Simple" maths is decided by rule:
numbers, fractions, letters, units, words. Maths that needs algebra is measured separately. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from statistics import median

from reward_fns import algebra, grounding, math

PROCESSES = 2
ROUNDS = 3
LIMIT = 0.5  # seconds per answer in the batch
FORM = "<think>I look at it, and then I look again.</think>"
BOXES = [
    (FORM + '<answer>{"bbox_2d": [120, 64, 333, 250], "label": "the dog"}</answer>', "[118, 60, 330.5, 255]"),
    (FORM + "<answer>[120, 64, 333, 250]</answer>", "[118, 60, 330.5, 255]"),
    (FORM + '<answer>```json\n[{"bbox_2d": [12.5, 64.0, 33, 250]}]\n```</answer>', "[12, 60, 33, 255]"),
    (FORM + "<answer>The dog is at (120,64),(333,250).</answer>", "[118, 60, 330, 255]"),
]
SIMPLE = [
    ("12", "12"),
    ("\\frac{1}{2}", "0.5"),
    ("B", "(B) 12 cm"),
    ("12 cm", "$12$"),
    ("-3", "4"),
    ("Yes", "\\text{yes}"),
]
PATHOLOGICAL = ("x+1", "9^{9^{9^9}}")


def algebra_pair(i: int) -> tuple[str, str]:
    """Two equal expressions that no rule decides. Each ``i`` gives a different pair, so that no cache helps."""
    forms = [
        (f"{i}\\sqrt{{3}}", f"\\sqrt{{{3 * i * i}}}"),
        (f"x^2-{i * i}", f"(x-{i})(x+{i})"),
        (f"{i}\\pi", f"\\pi \\cdot {i}"),
        (f"\\frac{{\\sqrt{{{i}}}}}{{2}}", f"\\frac{{{i}}}{{2\\sqrt{{{i}}}}}"),
    ]
    return forms[i % len(forms)]


def score_boxes(count: int) -> None:
    for i in range(count):
        grounding.compute_score("refcoco", *BOXES[i % len(BOXES)])


def score_answers(count: int) -> None:
    for i in range(count):
        score_answer(SIMPLE[i % len(SIMPLE)])


def score_answer(pair: tuple[str, str]) -> dict:
    gold, answer = pair
    return math.compute_score("mmk12", f"{FORM} \\boxed{{{answer}}}", gold, timeout_s=LIMIT)


def rate(work, count: int) -> float:
    """Rewards per second on PROCESSES running processes, median of ROUNDS."""
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:  # ends with an error if a process dies
        list(pool.map(work, [10] * PROCESSES))
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            list(pool.map(work, [count // PROCESSES] * PROCESSES))
            seconds.append(time.perf_counter() - started)
    return count / median(seconds)


def batch(pairs: list[tuple[str, str]]) -> tuple[float, int]:
    """Score the pairs from 32 threads of one process; return seconds and the number of timeouts."""
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(score_answer, map(algebra_pair, range(1, 9))))  # starts the workers
        started = time.perf_counter()
        results = list(threads.map(score_answer, pairs))
    return time.perf_counter() - started, sum(result["status"] == "timeout" for result in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rewards", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=400)
    arguments = parser.parse_args()
    print("| what | measured |\n|---|---|")
    print(f"| grounding rewards a second, {PROCESSES} processes | {rate(score_boxes, arguments.rewards):,.0f} |")
    print(
        f"| simple maths rewards a second, {PROCESSES} processes | {rate(score_answers, arguments.rewards // 4):,.0f} |"
    )
    sane = [algebra_pair(i) for i in range(100, 100 + arguments.batch)]
    seconds, late = batch(sane)
    print(f"| maths rewards a second that need algebra, {algebra.WORKERS} workers | {len(sane) / seconds:,.0f} |")
    bad = max(1, arguments.batch // 20)
    mixed = [PATHOLOGICAL if i % 20 == 0 else algebra_pair(1000 + i) for i in range(len(sane))]
    allowed = seconds + bad * LIMIT / algebra.WORKERS
    seconds, late = batch(mixed)
    print(f"| a batch of {len(mixed)} of these with {bad} pathological | {seconds:.1f} s, {late} timeouts |")
    print(f"| the same without them, plus their limits of {LIMIT} s over {algebra.WORKERS} workers | {allowed:.1f} s |")


if __name__ == "__main__":
    main()
