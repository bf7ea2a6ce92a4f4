r"""Forms of a response: where its answer is, and when it is well-formed.

| form | the answer is | well-formed if |
|---|---|---|
| `answer` | in the last `<answer>...</answer>` | there is exactly one such block |
| `think_answer` | the same | the response is one `<think>...</think>` and one such block, nothing else |
| `boxed` | in the last `\boxed{...}` | there is exactly one |
| `think_boxed` | the same | the response begins with its only `<think>...</think>`; its only `\boxed{}` follows |
| `free` | the last answer block, else the last `\boxed{}`, else everything after the thinking | always |

Every rule takes time linear in the length of the response.
"""

import re
from collections.abc import Callable

Finder = Callable[[str], str | None]
Rule = Callable[[str], bool]

_THINK, _END_THINK, _ANSWER, _END_ANSWER = "<think>", "</think>", "<answer>", "</answer>"
_BRACES = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)


def last_answer(text: str) -> str | None:
    """Return the text of the last complete answer block."""
    head, closed, _ = text.rpartition(_END_ANSWER)
    _, opened, answer = head.rpartition(_ANSWER)
    return answer if closed and opened else None


def last_boxed(text: str) -> str | None:
    r"""Return the text in the last closed `\boxed{...}`; braces in it may be nested."""
    answers = boxed(text)
    return answers[-1] if answers else None


def last_of_any(text: str) -> str | None:
    """Return the answer of a response that was asked for no form; None if nothing follows the thinking."""
    for find in (last_answer, last_boxed):
        answer = find(text)
        if answer is not None:
            return answer
    return text.rpartition(_END_THINK)[2].strip() or None


def boxed(text: str) -> list[str]:
    r"""Return the text in each closed `\boxed{...}`, in the order in which they close."""
    answers, open_braces = [], []  # of each open brace: where the text in \boxed{ starts, None for other braces
    start = text.find("\\boxed")
    for match in _BRACES.finditer(text, start) if start >= 0 else ():
        token = match.group()
        if token[-1] == "{" and (token == "{" or len(token) > 2):
            open_braces.append(match.end() if len(token) > 2 else None)
        elif token == "}" and open_braces:
            content_start = open_braces.pop()
            if content_start is not None:
                answers.append(text[content_start : match.start()])
    return answers


def is_one_answer(text: str) -> bool:
    """Return whether there is exactly one answer block, with anything around it."""
    return _once(text, _ANSWER, _END_ANSWER) and text.index(_ANSWER) < text.index(_END_ANSWER)


def is_think_then_answer(text: str) -> bool:
    """Return whether the response is one think block, then one answer block, and nothing else."""
    thought, _, rest = text.strip().partition(_END_THINK)
    rest = rest.strip()
    return (
        _once(text, _THINK, _END_THINK, _ANSWER, _END_ANSWER)
        and thought.startswith(_THINK)
        and rest.startswith(_ANSWER)
        and rest.endswith(_END_ANSWER)
    )


def is_one_boxed(text: str) -> bool:
    r"""Return whether there is exactly one closed `\boxed{...}`."""
    return len(boxed(text)) == 1


def is_think_then_boxed(text: str) -> bool:
    r"""Return whether the response begins with its only think block, and its only `\boxed{...}` follows."""
    if not (_once(text, _THINK, _END_THINK) and text.lstrip().startswith(_THINK)):
        return False
    thought, _, rest = text.partition(_END_THINK)
    return len(boxed(rest)) == 1 and not boxed(thought)


def is_anything(text: str) -> bool:
    """Return True: no form was asked for."""
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

_PERFECT = {
    "answer": "<answer>{}</answer>",
    "think_answer": "<think>I see.</think><answer>{}</answer>",
    "boxed": "\\boxed{{{}}}",
    "think_boxed": "<think>I see.</think> \\boxed{{{}}}",
    "free": "{}",
}


def perfect_response(ground_truth: str, form: str) -> str:
    """Return a well-formed response with this answer.

    Args:
        ground_truth: text of the answer.
        form: a key of FORMS.
    """
    return _PERFECT[form].format(ground_truth)
