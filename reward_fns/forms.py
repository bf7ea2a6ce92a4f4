r"""Forms of a response: where its answer is, and when it is well-formed.

| form | the answer is | well-formed if |
|---|---|---|
| `answer` | in the last `<answer>...</answer>` | there is exactly one such block |
| `think_answer` | the same | the response is one `<think>...</think>` and one such block, nothing else |
| `boxed` | in the last `\boxed{...}` | there is exactly one box |
| `think_boxed` | the same | the response begins with its only `<think>...</think>`; its only box follows |
| `free` | the last answer block, else the last box, else everything after the thinking | always |

In every form, the answer stands after the thinking: a response that thinks, and never stops or stops without an answer,
has none. The last block or box counts, and if it was cut off there is no answer. `\fbox{...}`, `\boxed 42` and
`\boxed\frac{1}{2}` are boxes, too. A box in a box is part of its text.

Every rule takes time linear in the length of the response.
"""

import re
from collections.abc import Callable

Finder = Callable[[str], str | None]
Rule = Callable[[str], bool]

_THINK, _END_THINK, _ANSWER, _END_ANSWER = "<think>", "</think>", "<answer>", "</answer>"
_BOX = re.compile(
    r"\\(?:boxed|fbox)(?![a-zA-Z])\s*"
    r"(?:(?P<brace>\{)|(?P<bare>(?=[-+]?(?:\.?\d|\\[a-zA-Z{]|[A-Z](?![a-zA-Z])|\([^()\s\\]{1,40}\))))|(?P<cut>\Z))"
)
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_BRACES_AND_END = re.compile(r"\\.|[{}\s$]", re.DOTALL)


def after_thinking(text: str) -> str | None:
    """Return what follows the thinking, everything if there is no thinking, or None if it never ends."""
    rest = text.rpartition(_END_THINK)[2]
    return None if _THINK in rest else rest


def last_answer(text: str) -> str | None:
    """Return the text of the last answer block after the thinking; None if there is none, or if it is not closed.

    A block that opens twice is one block: `<answer>43<answer>42</answer>` holds both.
    """
    *closed, cut = (after_thinking(text) or "").split(_END_ANSWER)
    if _ANSWER in cut:
        return None
    return next((part.partition(_ANSWER)[2] for part in reversed(closed) if _ANSWER in part), None)


def last_boxed(text: str) -> str | None:
    """Return the text of the last box after the thinking; None if there is none, or if it is not closed."""
    boxes = boxed(after_thinking(text) or "")
    return boxes[-1] if boxes else None


def last_of_any(text: str) -> str | None:
    """Return the answer of a response that was asked for no form; None if nothing follows the thinking."""
    rest = after_thinking(text) or ""
    if _ANSWER in rest:
        return last_answer(rest)
    boxes = boxed(rest)
    return boxes[-1] if boxes else rest.strip() or None


def maths_answer(text: str, form: str) -> str | None:
    """Return the answer of a response in maths, where a box in an answer block is the answer, without the prose.

    Args:
        text: the response.
        form: a key of FORMS.
    """
    find_answer, _ = FORMS[form]
    answer = find_answer(text)
    is_in_block = find_answer is not last_boxed and last_answer(text) is not None
    boxes = boxed(answer) if answer and is_in_block else []
    return boxes[-1] if boxes else answer


def boxed(text: str) -> list[str | None]:
    """Return the text of each box, in order; the last is None if it is not closed."""
    boxes, start = [], 0
    while start >= 0 and (box := _BOX.search(text, start)):
        start = -1 if box["cut"] is not None else _end(text, box.end(), _BRACES if box["brace"] else _BRACES_AND_END)
        boxes.append(text[box.end() : start] if start >= 0 else None)
    return boxes


def is_one_answer(text: str) -> bool:
    """Return whether there is exactly one answer block, with anything around it but thinking after it."""
    return _once(text, _ANSWER, _END_ANSWER) and last_answer(text) is not None


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
    """Return whether there is exactly one box, which is closed and stands after the thinking."""
    thought, _, rest = text.rpartition(_END_THINK)
    boxes = boxed(rest)
    return _THINK not in rest and not boxed(thought) and len(boxes) == 1 and boxes[0] is not None


def is_think_then_boxed(text: str) -> bool:
    """Return whether the response begins with its only think block, and its only box follows."""
    return _once(text, _THINK, _END_THINK) and text.lstrip().startswith(_THINK) and is_one_boxed(text)


def is_anything(text: str) -> bool:
    """Return True: no form was asked for."""
    return True


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


def _end(text: str, start: int, tokens: re.Pattern[str]) -> int:
    """Return where the content of a box that begins at `start` ends; -1 if it is not closed."""
    depth = 0
    for token in tokens.finditer(text, start):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth < 0:
                return token.start()
        elif depth == 0 and len(token[0]) == 1:  # white space or a dollar, which ends a box without braces
            return token.start()
    return -1 if depth or tokens is _BRACES else len(text)


def _once(text: str, *tags: str) -> bool:
    return all(text.count(tag) == 1 for tag in tags)
