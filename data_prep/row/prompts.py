"""Prompt templates: how a question asks for thinking and for the form of its answer."""

from __future__ import annotations

from pathlib import Path

GAP = "{question}"

_THINK_THEN_ANSWER = (
    GAP + " First output the thinking process in <think> </think> tags and then output the final answer in "
    "<answer> </answer> tags."
)
_BOXED = GAP + " Think first, inside <think> </think> tags, then write the final answer as \\boxed{answer}."
TEMPLATES = {
    "r1": {"grounding": _THINK_THEN_ANSWER + " Output the final answer in JSON format.", "math": _THINK_THEN_ANSWER},
    "boxed": {"grounding": _BOXED, "math": _BOXED},
}


def template_text(name: str, ability: str) -> str:
    """The text of the template `r1` or `boxed`, or of the file `name`, for "grounding" or "math".

    Raises:
        SystemExit: no such template and no such file, or its text has not exactly one {question}, or has media tags.
    """
    if name in TEMPLATES:
        return TEMPLATES[name][ability]
    try:
        text = Path(name).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"--template: got {name!r}, expected r1, boxed or a text file ({error})") from None
    if text.count(GAP) != 1 or any(tag in text for tag in ("<image>", "<video>", "<audio>")):
        raise SystemExit(f"--template: {name} must have {GAP} exactly once and no media tag; the images' tags are set")
    return text


def fill(template: str, question: str) -> str:
    """The template with its gap filled; braces elsewhere, as in LaTeX, stay as they are."""
    return template.replace(GAP, question)
