r"""The worker process that compares expressions; it may hang, run out of memory or crash, and is then replaced.

`reward_fns.algebra` starts a worker, which runs `serve()`. It imports math-verify once, forks a child for the work, and
waits for the child to end. A request is a line of JSON, [number, grader, gold, answer, seconds]. The reply is a line
with the number and a word. The child replies equal, different, bad_gold or error. If the child dies at work, its parent
replies timeout or error, and forks the next child, in which everything is imported already.

The time limit is an interval timer of the kernel, which ends the child even inside C code. So a worker ends on its own,
even if the process that asked has ended.
"""

import json
import logging
import mmap
import os
import resource
import signal
import struct
from collections.abc import Iterator
from typing import Any

from reward_fns import math_verify_grader

MEMORY = 2 << 30  # bytes of address space of a child; 9^{9^{9^9}} would fill the memory of the machine

READY = "ready"  # the first line that a worker writes

# Compared before the first fork, so that every child inherits what SymPy imports and caches for such expressions.
_WARM_UP = (
    ("x^{2}+\\frac{1}{2}", "\\sqrt{2}x"),
    ("(x-1)(x+2)", "x^2+x-2"),
    ("2\\sqrt{3}", "\\sqrt{12}"),
    ("3\\pi", "\\pi \\cdot 3"),
    ("\\sin(x)", "\\cos(x)"),
    ("y=2x+1", "2x-y+1=0"),
    ("(1,2)", "(1,3)"),
    ("x>2", "(2,\\infty)"),
)

_NUMBER = struct.Struct("q")


def serve() -> None:
    """Answer requests on stdin until it is closed."""
    logging.disable(logging.WARNING)  # math-verify warns that its own time limit is off
    for gold, answer in _WARM_UP:
        compare(gold, answer)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end without a traceback when nobody reads the replies
    at_work = mmap.mmap(-1, _NUMBER.size)  # number of the child's request, shared with it; 0 if it has none
    replies = os.dup(1)
    os.dup2(2, 1)  # output of libraries must not be taken for a reply
    _reply(replies, READY)
    while True:
        child = os.fork()
        if child == 0:
            _answer_requests(at_work, replies)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return
        (number,) = _NUMBER.unpack(at_work)
        if number:
            _reply(replies, f"{number} {'timeout' if os.WTERMSIG(status) == signal.SIGALRM else 'error'}")
            _NUMBER.pack_into(at_work, 0, 0)


def compare(gold: str, answer: str) -> str:
    """Compare two LaTeX expressions by math-verify; return "equal", "different", "bad_gold" or "error".

    Source: math-verify 0.9.0, whose own time limit needs the main thread of the reward's process.
    """
    from math_verify import verify

    try:
        true_value = _parse(gold)
    except MemoryError:  # the limit of this process was reached, which says nothing about the expression
        return "error"
    except Exception:  # the parsers raise errors of any type: the gold is not LaTeX
        return "bad_gold"
    try:
        value = _parse(answer)
    except MemoryError:
        return "error"
    except Exception:  # an answer that cannot be parsed is not right
        return "different"
    try:
        return "equal" if verify(true_value, value, timeout_seconds=None) else "different"
    except Exception:  # of SymPy, on two valid expressions: an error, not a wrong answer
        return "error"


def _parse(text: str) -> Any:
    """Parse the whole text as one SymPy object; `math_verify.parse` would accept a part of it.

    Units have been removed before, so here `m` is a variable.
    """
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, normalize_latex
    from math_verify.parser import parse_latex_cached

    value = parse_latex_cached(normalize_latex(text, NormalizationConfig(malformed_operators=True, nits=True)))
    if value is None:
        raise ValueError(f"answer: got {text}, expected an expression")
    return value


GRADERS = {"ours": compare, "math_verify": math_verify_grader.compare}


def _answer_requests(at_work: mmap.mmap, replies: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for request in _requests():
        number, grader, gold, answer, seconds = json.loads(request)
        _NUMBER.pack_into(at_work, 0, number)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        outcome = GRADERS[grader](gold, answer)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _reply(replies, f"{number} {outcome}")
        _NUMBER.pack_into(at_work, 0, 0)


def _requests() -> Iterator[bytes]:
    """Yield whole lines; a worker gets one request at a time, so nothing follows a line end."""
    request = b""
    while chunk := os.read(0, 1 << 16):
        request += chunk
        if request.endswith(b"\n"):
            yield request
            request = b""


def _reply(replies: int, line: str) -> None:
    os.write(replies, f"{line}\n".encode())
