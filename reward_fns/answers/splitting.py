"""Splits a text at joints that stand outside of all brackets."""

import re

_TOKEN = re.compile(r"\\begin|\\end|\\[{}]|\\langle|\\rangle|[(\[{)\]}]")
_OPENING = {"(", "[", "{", r"\{", r"\begin", r"\langle"}


def split_outside(text: str, joint: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """Return the parts of a text and the joints between them; joints in brackets or environments do not count."""
    spans = _spans_at_depth_zero(text)
    parts, joints, start = [], [], 0
    for match in joint.finditer(text):
        if spans[match.start()]:
            parts.append(text[start : match.start()].strip())
            joints.append(match.group().strip())
            start = match.end()
    return [*parts, text[start:].strip()], joints


def inside_brackets(text: str, opening: str, closing: str) -> str | None:
    """Return what is between an opening and a closing bracket if they enclose the whole text and belong together."""
    if not (text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing)):
        return None
    inside = text[len(opening) : len(text) - len(closing)]
    depth = 0
    for match in _TOKEN.finditer(inside):
        depth += 1 if match.group() in _OPENING else -1
        if depth < 0:
            return None
    return inside.strip() if depth == 0 else None


def is_balanced(text: str) -> bool:
    """Return whether braces pair off, and whether other brackets do, whatever their shape, as in `[1, 2)`."""
    braces, brackets = 0, 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        change = 1 if token in _OPENING else -1
        if token in "{}":
            braces += change
        else:
            brackets += change
        if braces < 0 or brackets < 0:
            return False
    return braces == brackets == 0


def _spans_at_depth_zero(text: str) -> list[bool]:
    """Return of each position whether it is outside of all brackets."""
    outside, depth, end = [], 0, 0
    for match in _TOKEN.finditer(text):
        outside += [depth == 0] * (match.start() - end) + [False] * len(match.group())
        depth = max(0, depth + (1 if match.group() in _OPENING else -1))
        end = match.end()
    return outside + [depth == 0] * (len(text) - end + 1)
