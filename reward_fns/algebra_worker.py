r"""The process in which two expressions are compared: it may hang, run out of memory or crash, and is then replaced.

`serve()` is the whole life of a worker (`reward_fns.algebra` starts it). It imports math-verify once, then forks the
child that does the work, and waits. A request is a line of JSON, [number, gold, answer, seconds], its reply a line with
its number and a word: equal / different / bad_gold / error by the child, or, where the child died of it, timeout /
error by its parent, which forks the next child at once, with everything imported.

The limit is the kernel's: an interval timer that ends the process whatever it is doing, inside C code too. So a worker
ends itself even where the process that asked has gone.
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

MEMORY = 2 << 30  # bytes of address space; 9^{9^{9^9}} would take the machine's

READY = "ready"  # the first line, in reply to nothing

# Compared before the first request: what each makes SymPy import and remember, a child has from its first moment.
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
    logging.disable(logging.WARNING)  # math-verify warns that its own limit is off
    for gold, answer in _WARM_UP:
        compare(gold, answer)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody is left to read: end, without a traceback
    at_work = mmap.mmap(-1, _NUMBER.size)  # shared with the child: the number of its request; 0: none
    replies = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no reply
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
    """equal / different / bad_gold / error, by math-verify; both are LaTeX without dollars.

    Source: math-verify 0.9.0, whose own time limit needs the main thread of the reward's process.
    """
    from math_verify import verify

    try:
        true_value = _parse(gold)
    except MemoryError:  # of the gold or not, it says nothing about either: the limit of this process
        return "error"
    except Exception:  # the parsers raise whatever a text makes them stumble over: such a gold is not LaTeX
        return "bad_gold"
    try:
        value = _parse(answer)
    except MemoryError:
        return "error"
    except Exception:  # what cannot be read is no right answer
        return "different"
    try:
        return "equal" if verify(true_value, value, timeout_seconds=None) else "different"
    except Exception:  # SymPy's own, on two readable expressions: counted as an error, not as a wrong answer
        return "error"


def _parse(text: str) -> Any:
    """The whole text as one SymPy object; `math_verify.parse` would be content with a part of it.

    Units are left in: they were dropped before, and here `m` is a variable.
    """
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig, normalize_latex
    from math_verify.parser import parse_latex_cached

    value = parse_latex_cached(normalize_latex(text, NormalizationConfig(malformed_operators=True, nits=True)))
    if value is None:
        raise ValueError(f"answer: got {text}, expected an expression")
    return value


def _answer_requests(at_work: mmap.mmap, replies: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for request in _requests():
        number, gold, answer, seconds = json.loads(request)
        _NUMBER.pack_into(at_work, 0, number)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        outcome = compare(gold, answer)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _reply(replies, f"{number} {outcome}")
        _NUMBER.pack_into(at_work, 0, 0)


def _requests() -> Iterator[bytes]:
    """Whole lines; a worker has one request at a time, so a line ends what can be read."""
    request = b""
    while chunk := os.read(0, 1 << 16):
        request += chunk
        if request.endswith(b"\n"):
            yield request
            request = b""


def _reply(replies: int, line: str) -> None:
    os.write(replies, f"{line}\n".encode())
