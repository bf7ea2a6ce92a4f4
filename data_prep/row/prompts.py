"""Prompt templates, which ask for thinking and for the form of the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

SLOT = "{question}"
MEDIA_TAGS = ("<image>", "<video>", "<audio>")


@dataclass(frozen=True)
class PromptTemplate:
    """The messages of a prompt.

    Args:
        user: text of the user's message, with ``SLOT`` once.
        system: text of a system message before it; "" for none, which leaves the chat template's own.
    """

    user: str
    system: str = ""

    def messages(self, question: str) -> list[dict[str, str]]:
        """Put a question into the template; other braces, as in LaTeX, stay as they are."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.user.replace(SLOT, question)}]


_THINK_THEN_ANSWER = (
    SLOT + " First output the thinking process in <think> </think> tags and then output the final answer in "
    "<answer> </answer> tags."
)
_BOXED = PromptTemplate(
    SLOT + " Think first, inside <think> </think> tags, then write the final answer as \\boxed{answer}."
)
_SYSTEM_BOXED = PromptTemplate(  # of EasyR1's family, which VEPO trains with
    SLOT,
    "You FIRST think about the reasoning process as an internal monologue and then provide the final answer. The "
    "reasoning process MUST BE enclosed within <think> </think> tags. The final answer MUST BE put in \\boxed{}.",
)
TEMPLATES = {
    "r1": {
        "grounding": PromptTemplate(_THINK_THEN_ANSWER + " Output the final answer in JSON format."),
        "math": PromptTemplate(_THINK_THEN_ANSWER),
    },
    "boxed": {"grounding": _BOXED, "math": _BOXED},
    "system_boxed": {"grounding": _SYSTEM_BOXED, "math": _SYSTEM_BOXED},
}


def prompt_template(name: str, ability: str, system: Path | None = None) -> PromptTemplate:
    """Return a prompt template.

    Args:
        name: a key of ``TEMPLATES``, or the path of a text file for the user's message.
        ability: "grounding" or "math".
        system: a text file for the system message, instead of the template's own.

    Raises:
        SystemExit: there is no such template or file, the user's text does not have {question} exactly once, the system
            message is empty or has it, or one of them has media tags.
    """
    if name in TEMPLATES:
        template = TEMPLATES[name][ability]
    else:
        template = PromptTemplate(_text_of("--template", name, f"{', '.join(TEMPLATES)} or a text file"))
        if template.user.count(SLOT) != 1:
            raise SystemExit(f"--template: {name} must have {SLOT} exactly once; put it where the question belongs")
    if system is None:
        return template
    text = _text_of("--system", str(system), "a text file")
    if not text or SLOT in text:
        raise SystemExit(f"--system: {system} must have a text, without {SLOT}, which belongs in the user's message")
    return replace(template, system=text)


def _text_of(option: str, path: str, expected: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{option}: got {path!r}, expected {expected} ({error})") from None
    if any(tag in text for tag in MEDIA_TAGS):
        raise SystemExit(f"{option}: {path} must have no media tag; the images' tags are set with the question")
    return text
