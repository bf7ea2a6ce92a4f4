"""Prompt templates, which ask for thinking and for the form of the answer."""

from __future__ import annotations

from pathlib import Path

SLOT = "{question}"

_THINK_THEN_ANSWER = (
    SLOT + " First output the thinking process in <think> </think> tags and then output the final answer in "
    "<answer> </answer> tags."
)
_BOXED = SLOT + " Think first, inside <think> </think> tags, then write the final answer as \\boxed{answer}."
TEMPLATES = {
    "r1": {"grounding": _THINK_THEN_ANSWER + " Output the final answer in JSON format.", "math": _THINK_THEN_ANSWER},
    "boxed": {"grounding": _BOXED, "math": _BOXED},
}


def template_text(name: str, ability: str) -> str:
    """Return the text of a prompt template.

    Args:
        name: "r1", "boxed" or the path of a text file.
        ability: "grounding" or "math".

    Raises:
        SystemExit: there is no such template or file, or its text does not have {question} exactly once, or it has
            media tags.
    """
    if name in TEMPLATES:
        return TEMPLATES[name][ability]
    try:
        text = Path(name).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"--template: got {name!r}, expected r1, boxed or a text file ({error})") from None
    if text.count(SLOT) != 1 or any(tag in text for tag in ("<image>", "<video>", "<audio>")):
        raise SystemExit(f"--template: {name} must have {SLOT} exactly once and no media tag; the images' tags are set")
    return text


def fill(template: str, question: str) -> str:
    """Put a question into a template; other braces, as in LaTeX, stay as they are."""
    return template.replace(SLOT, question)
