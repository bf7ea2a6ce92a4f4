"""Compares two expressions by math-verify in a pool of processes, with a time limit that holds in any case.

verl calls rewards from threads of a reward worker, where math-verify's own time limit (SIGALRM) does not work. Here a
thread takes a worker process from the pool, or waits for one. The time limit includes neither the wait nor the start of
a process. The processes run `reward_fns.algebra_worker`, and end when the process that started them ends.

Equal pairs are compared once, since the responses of a group often agree. A pair that reached no result (`timeout`,
`error`) is tried again, because that may be due to a busy machine.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

from reward_fns.algebra_worker import READY

WORKERS = 2  # per process that computes rewards (verl has 8: reward.num_workers); each starts at its first request

REMEMBERED = 4096  # results of the pairs that were compared last

# A file in the working directory must not stand in for a module of the library (a `dis.py` would end every worker), so
# that directory comes last; Python's own `-P` leaves it out, but needs Python 3.11. The package is the one of this
# file, even if Python would find another one first.
_START = """
import os, sys
sys.path.sort(key=lambda folder: folder in ("", os.getcwd()))
package = sys.modules["reward_fns"] = type(sys)("reward_fns")
package.__path__ = [sys.argv[1]]
from reward_fns.algebra_worker import serve
serve()
"""


class Worker:
    """One process of the pool, started at the first request, and again after it has ended."""

    def __init__(self):
        self.process: subprocess.Popen | None = None
        self.number = 0  # number of the last request
        self.seconds = 0.0  # that the last request took, without the start of the process

    def ask(self, grader: str, gold: str, answer: str, seconds: float) -> str:
        """Compare one pair; return the reply of the process, or "error" if it has ended."""
        self.number += 1
        self.seconds = 0.0
        try:
            self.process = self.process or _start()
            started = time.monotonic()
            assert self.process.stdin and self.process.stdout
            self.process.stdin.write(json.dumps([self.number, grader, gold, answer, seconds]).encode() + b"\n")
            while reply := self.process.stdout.readline().decode().split():
                if int(reply[0]) == self.number:  # else a second reply to an earlier request
                    self.seconds = time.monotonic() - started
                    return reply[1]
        except OSError:
            pass
        self.close()
        return "error"

    def close(self) -> None:
        """End the process, if there is one, and wait for its end."""
        if self.process is not None:
            assert self.process.stdin and self.process.stdout
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


def compare(gold: str, answer: str, seconds: float, grader: str = "ours") -> tuple[str, float]:
    """Compare two LaTeX expressions.

    Args:
        gold, answer: LaTeX without dollars.
        seconds: wall-clock time limit.
        grader: a key of `algebra_worker.GRADERS`.

    Returns:
        "equal", "different", "bad_gold", "timeout" or "error", and the seconds that it took, without waiting for a
        worker or its start; 0 for a pair whose result is remembered, or to which no worker replied.
    """
    pair = grader, gold, answer
    if remembered := _results.get(pair):
        return remembered, 0.0
    worker = _idle.get()
    try:
        outcome, taken = worker.ask(*pair, seconds), worker.seconds
    finally:
        _idle.put(worker)
    if outcome not in ("timeout", "error"):
        with _lock:
            _results[pair] = outcome
            if len(_results) > REMEMBERED:
                _results.pop(next(iter(_results)))
    return outcome, taken


def _start() -> subprocess.Popen:
    """Start a worker, and wait until it has imported everything.

    Raises:
        OSError: it ended instead.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _START, str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # Ctrl-C must reach the run only, which then closes the pipes
    )
    assert process.stdout
    if process.stdout.readline().decode().strip() != READY:
        process.kill()
        process.wait()
        raise OSError("the process that compares expressions did not start")
    return process


def _new_pool() -> None:
    global _idle, _lock, _results
    _lock, _results = threading.Lock(), {}
    _idle = queue.LifoQueue()
    for _ in range(WORKERS):
        _idle.put(Worker())


_idle: queue.LifoQueue
_lock: threading.Lock
_results: dict[tuple[str, str, str], str]  # of (grader, gold, answer), the oldest first
_new_pool()
os.register_at_fork(after_in_child=_new_pool)  # a forked process must not use the pipes of its parent
