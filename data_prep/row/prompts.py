"""Prompt templates, which ask for thinking and for the form of the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.row.texts import without_tags

SLOT = "{question}"


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
_AS_JSON = " Output the final answer in JSON format."
_BOXED = PromptTemplate(
    SLOT + " Think first, inside <think> </think> tags, then write the final answer as \\boxed{answer}."
)
_FIRST_THINK = (
    "You FIRST think about the reasoning process as an internal monologue and then provide the final answer. The "
    "reasoning process MUST BE enclosed within <think> </think> tags. The final answer MUST BE put in \\boxed{}."
)
_EASYR1 = PromptTemplate(f"{SLOT} {_FIRST_THINK}")
_SYSTEM_BOXED = PromptTemplate(SLOT, _FIRST_THINK)
_CONVERSATION = (
    "The user asks a question and the assistant answers it, after thinking it through. The thinking stands in <think> "
    "</think> tags and the answer in <answer> </answer> tags: <think> thinking </think><answer> answer </answer>"
)
_MM_EUREKA = PromptTemplate(
    SLOT,
    "Solve the user's question: first think it through, then answer. Put the thinking in <think> </think> tags and "
    "the answer after it in <answer> </answer> tags, with nothing before or behind. Write the final answer in LaTeX "
    "and in \\boxed{}: <think> 1+1=2 </think><answer> \\boxed{2} </answer>",
)
TEMPLATES = {
    # VLM-R1's prompt for grounding, and the same without JSON for maths.
    "r1": {
        "grounding": PromptTemplate(_THINK_THEN_ANSWER + _AS_JSON),
        "math": PromptTemplate(_THINK_THEN_ANSWER),
    },
    "boxed": {"grounding": _BOXED, "math": _BOXED},
    # EasyR1's prompt as a system message; VEPO's code, which is based on EasyR1, trains with it.
    "system_boxed": {"grounding": _SYSTEM_BOXED, "math": _SYSTEM_BOXED},
    # `r1`, after a system message of DeepSeek-R1's kind. VLM-R1's code has such a message, and uses it for texts only.
    "vlm_r1": {
        "grounding": PromptTemplate(_THINK_THEN_ANSWER + _AS_JSON, _CONVERSATION),
        "math": PromptTemplate(_THINK_THEN_ANSWER, _CONVERSATION),
    },
    # EasyR1's examples/format_prompt/math.jinja, which puts it behind the question.
    "easyr1": {"grounding": _EASYR1, "math": _EASYR1},
    # The form that MM-Eureka asks for in its system message, in other words.
    "mm_eureka": {"grounding": _MM_EUREKA, "math": _MM_EUREKA},
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
    if without_tags(text) != text:
        raise SystemExit(f"{option}: {path} must have no media tag; the images' tags are set with the question")
    return text
