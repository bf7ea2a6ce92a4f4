"""Compares two expressions in a pool of processes, within a time limit that ends the work whatever it is doing.

verl calls rewards from threads of a reward worker, where math-verify's own limit (SIGALRM) cannot be used. Here a
thread takes a worker process from the pool, or waits for one; the limit counts from when the worker begins, not the
wait. What the processes do: `reward_fns.algebra_worker`. They end when the process that started them does.
"""

import json
import os
import queue
import subprocess
import sys
import time
from pathlib import Path

from reward_fns.algebra_worker import READY

WORKERS = 2  # for each process that computes rewards (verl's reward.num_workers, 8); started when first needed

_START = "import sys; sys.path.append(sys.argv[1]); from reward_fns.algebra_worker import serve; serve()"


class Worker:
    """One process of the pool; started at its first request, and again when it has gone."""

    def __init__(self):
        self.process: subprocess.Popen | None = None
        self.number = 0  # of the last request

    def ask(self, gold: str, answer: str, seconds: float) -> str:
        """The worker's word on one pair; `error` if the whole process is gone."""
        self.number += 1
        try:
            self.process = self.process or _start()
            assert self.process.stdin and self.process.stdout
            self.process.stdin.write(json.dumps([self.number, gold, answer, seconds]).encode() + b"\n")
            while reply := self.process.stdout.readline().decode().split():
                if int(reply[0]) == self.number:  # else a second reply to an earlier one, by a child that then died
                    return reply[1]
        except OSError:
            pass
        self.close()
        return "error"

    def close(self) -> None:
        """End the process, if there is one, and wait for it."""
        if self.process is not None:
            assert self.process.stdin and self.process.stdout
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


def compare(gold: str, answer: str, seconds: float) -> tuple[str, float]:
    """Whether two expressions in LaTeX are equal, and how long it took.

    Args:
        gold, answer: without dollars.
        seconds: that the work may take, by the wall clock.

    Returns:
        equal / different / bad_gold / timeout / error, and the seconds of work, waiting for a worker not included.
    """
    worker = _idle.get()
    try:
        started = time.monotonic()
        outcome = worker.ask(gold, answer, seconds)
        return outcome, time.monotonic() - started
    finally:
        _idle.put(worker)


def _start() -> subprocess.Popen:
    """A worker that has imported everything and is waiting.

    Raises:
        OSError: it ended instead.
    """
    package = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", _START, package],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # an interrupt at the terminal is for the run, which then closes the pipes
    )
    assert process.stdout
    if process.stdout.readline().decode().strip() != READY:
        process.kill()
        process.wait()
        raise OSError("the process that compares expressions did not start")
    return process


def _new_pool() -> None:
    global _idle
    _idle = queue.LifoQueue()
    for _ in range(WORKERS):
        _idle.put(Worker())


_idle: queue.LifoQueue
_new_pool()
os.register_at_fork(after_in_child=_new_pool)  # a forked process must not talk over its parent's pipes
