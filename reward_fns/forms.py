r"""Where a response puts its answer, and whether it keeps the form it was asked for: a few rules, each with a name.

| form | the answer is | well-formed when |
|---|---|---|
| `answer` | in the last `<answer>...</answer>` | there is one such block |
| `think_answer` | the same | the response is one `<think>...</think>` and one such block, nothing else |
| `boxed` | in the last `\boxed{...}` | there is one |
| `think_boxed` | the same | the response begins with the only `<think>...</think>`; the only `\boxed{}` comes later |
| `free` | the last block, else the last box, else all that follows the thinking | always |

Every rule reads the text a constant number of times, so a long response costs no more than its length.
"""

import re
from collections.abc import Callable

Finder = Callable[[str], str | None]
Rule = Callable[[str], bool]

_THINK, _END_THINK, _ANSWER, _END_ANSWER = "<think>", "</think>", "<answer>", "</answer>"
_BRACES = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)


def last_answer(text: str) -> str | None:
    """The text of the last complete answer block."""
    head, closed, _ = text.rpartition(_END_ANSWER)
    _, opened, answer = head.rpartition(_ANSWER)
    return answer if closed and opened else None


def last_boxed(text: str) -> str | None:
    r"""The text in the last closed `\boxed{...}`; braces inside it may nest."""
    found = boxed(text)
    return found[-1] if found else None


def last_of_any(text: str) -> str | None:
    """The answer of a response that was asked for no form; None when nothing follows the thinking."""
    for find in (last_answer, last_boxed):
        answer = find(text)
        if answer is not None:
            return answer
    return text.rpartition(_END_THINK)[2].strip() or None


def boxed(text: str) -> list[str]:
    r"""What stands in each closed `\boxed{...}`, in the order in which they close."""
    found, opened = [], []
    start = text.find("\\boxed")
    for match in _BRACES.finditer(text, start) if start >= 0 else ():
        token = match.group()
        if token[-1] == "{" and (token == "{" or len(token) > 2):
            opened.append(match.end() if len(token) > 2 else None)
        elif token == "}" and opened:
            begin = opened.pop()
            if begin is not None:
                found.append(text[begin : match.start()])
    return found


def is_one_answer(text: str) -> bool:
    """One answer block; whatever else, think tags too, is optional."""
    return _once(text, _ANSWER, _END_ANSWER) and text.index(_ANSWER) < text.index(_END_ANSWER)


def is_think_then_answer(text: str) -> bool:
    """Nothing but one think block and one answer block, in this order."""
    thought, _, rest = text.strip().partition(_END_THINK)
    rest = rest.strip()
    return (
        _once(text, _THINK, _END_THINK, _ANSWER, _END_ANSWER)
        and thought.startswith(_THINK)
        and rest.startswith(_ANSWER)
        and rest.endswith(_END_ANSWER)
    )


def is_one_boxed(text: str) -> bool:
    r"""One closed `\boxed{...}`."""
    return len(boxed(text)) == 1


def is_think_then_boxed(text: str) -> bool:
    r"""One think block at the start, and one `\boxed{...}`, after it."""
    if not (_once(text, _THINK, _END_THINK) and text.lstrip().startswith(_THINK)):
        return False
    thought, _, rest = text.partition(_END_THINK)
    return len(boxed(rest)) == 1 and not boxed(thought)


def is_anything(text: str) -> bool:
    """No form was asked for."""
    return True


def _once(text: str, *tags: str) -> bool:
    return all(text.count(tag) == 1 for tag in tags)


FORMS: dict[str, tuple[Finder, Rule]] = {
    "answer": (last_answer, is_one_answer),
    "think_answer": (last_answer, is_think_then_answer),
    "boxed": (last_boxed, is_one_boxed),
    "think_boxed": (last_boxed, is_think_then_boxed),
    "free": (last_of_any, is_anything),
}
