"""Cleans texts of raw rows: image tags, answers that a rule can check, and fields of the wrong type."""

from __future__ import annotations

import json
import re
from typing import Any

from data_prep.types import Rejection

MAX_ANSWER = 200  # characters; anything longer is a solution, not an answer
MAX_WORDS = 6  # of an answer in words; nobody writes a longer one in the same words again
_TAG = "<image>"
_NUMBERED = re.compile(r"<image[ _]?(\d{1,3})>")
_RESERVED = re.compile(r"<(image|video|audio|\|\w{1,40}\||/?img|IMG_CONTEXT)>")
_STOP = re.compile(r"(?:(?<!\\right)(?<!\\right )[.。．]|[;；,，\s])+\Z")  # `\right.` has a stop of its own
_MACRO = re.compile(r"\\(?:number|quantity|unit)\s*(?=\{)")  # of K12's answers, which no LaTeX knows
_LABELS = (("(1)", "(2)"), ("（1）", "（2）"), ("①", "②"), ("(i)", "(ii)"), ("(a)", "(b)"), ("(Ⅰ)", "(Ⅱ)"))
_BETWEEN_LABELS = re.compile(r"[\s,，、;；.&]*(?:and|or|和|与|及|或)?[\s,，、;；.&]*")
_FORMULA = re.compile(r"\$\$[^$]+\$\$|\$[^$]+\$")
_NUMBERS = re.compile(r"[-+]?\d+(?:\.\d+)?(?:\s+[-+]?\d+(?:\.\d+)?)+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?: \d{3})+")
_ALTERNATIVES = re.compile(
    r"\b(?:not|isn't) unique|\b(?:choose|choosing|fill in|write) (?:any )?one\b|\bany (?:one )?of (?:them|these)\b"
    r"|\banswers? (?:may )?var(?:y|ies)\b|\(\s*or\b|不唯一|任选|任写|（或|(?<!\w)\(或",
    re.IGNORECASE,
)
_REASONING = re.compile(
    r"[∵∴]|\\because\b|\\therefore\b|因为|所以|解[:：]|证明[:：]|故[选答填]"
    r"|\b(?:therefore|thus|hence|because|since|so it is|it follows|substitut\w+|solution:|proof:)(?!\w)",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?<![\\\w])[A-Za-z][a-z]{2,}")


def text_of(value: Any) -> str:
    """Return a scalar, or the only element of a list, as stripped text; None, other lists and dicts become "".

    Characters that UTF-8 cannot encode become "?".
    """
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    text = "" if value is None or isinstance(value, list | tuple | dict) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def from_json(value: Any) -> Any:
    """Decode a text that holds JSON, or JSON text within JSON; return anything but text as it is.

    Raises:
        ValueError: the text is not JSON.
    """
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except RecursionError as error:
            raise ValueError("JSON nested too deeply") from error
    return value


def without_tags(text: str) -> str:
    """Break up what would be taken for media: verl's `<image>`, `<video>`, `<audio>`, and tokens of chat templates.

    Those are `<|image_pad|>`, `<|im_end|>` and the like of Qwen, `<img>` and `<IMG_CONTEXT>` of InternVL.
    """
    return _RESERVED.sub(r"< \1>", text)


def place_tags(text: str, images: int) -> str | Rejection:
    """Return the text with one `<image>` tag for each image, and no other tag that verl would take for media.

    `<image>` tags of the text keep their places. If it has none, `<image1>`, `<image2>`, ... become tags where they
    first appear in order; a repeated one becomes the words "image 1". If there are no tags at all, the images go first.
    Space around tags at the beginning is dropped, since distributions of one data set differ in it.

    Args:
        text: the question.
        images: number of images.
    """
    parts = text.split(_TAG)
    if len(parts) == 1:
        parts = _split_at_numbers(text)
    if len(parts) == 1:
        parts = [""] * images + parts
    if len(parts) - 1 != images:
        return Rejection("image_tags", f"got {len(parts) - 1} tags and {images} images")
    clean = [without_tags(_NUMBERED.sub(r"image \1", part)) for part in parts]
    leading = next((number for number, part in enumerate(clean) if part.strip()), images)
    return _TAG.join([""] * leading + [clean[leading].lstrip(), *clean[leading + 1 :]])


def _split_at_numbers(text: str) -> list[str]:
    parts, start, seen = [], 0, 0
    for match in _NUMBERED.finditer(text):
        if int(match[1]) == seen + 1:
            parts.append(text[start : match.start()])
            start, seen = match.end(), seen + 1
    return [*parts, text[start:]]


def checkable_answer(answer: str) -> str | Rejection:
    r"""Return the answer without `$`, `\boxed{}`, K12's macros and a stop at the end, so that a rule can compare it.

    Several answers in one, one of several right answers, and solutions are rejected, because no rule would ever find a
    response right. A list that has separators, such as `3, 5` or `3; 5`, and statements, such as `①②④`, are answers.
    """
    bare = before = _without_macros(answer.strip())
    while True:
        bare = _unwrapped(_without_stop(bare))
        if bare == before:
            break
        before = bare
    if not bare:
        return Rejection("answer_empty", answer[:80])
    if _ALTERNATIVES.search(bare):
        return Rejection("answer_not_unique", bare[:80])
    if len(bare) > MAX_ANSWER or "\n\n" in bare or _REASONING.search(bare):
        return Rejection("answer_too_long", bare[:80])
    if _has_numbered_parts(bare) or _has_unmarked_parts(bare):
        return Rejection("answer_in_parts", bare[:80])
    if len(_WORD.findall(bare)) > MAX_WORDS:
        return Rejection("answer_too_long", bare[:80])
    return bare


def _without_stop(text: str) -> str:
    return text if text.endswith(("...", "…")) else _STOP.sub("", text)


def _without_macros(text: str) -> str:
    r"""Return `24 cm^{2}` for `\quantity{24}{cm^{2}}`, and the arguments of `\number` and `\unit` likewise."""
    while match := _MACRO.search(text):
        arguments, end = [], match.end()
        while end < len(text) and text[end] == "{" and len(arguments) < 2:
            closing = _closing_brace(text, end)
            if closing < 0:
                break
            arguments.append(text[end + 1 : closing])
            end = closing + 1
            if not match.group().startswith(r"\quantity"):
                break
        text = text[: match.start()] + " ".join(arguments) + text[end:]
    return text


def _closing_brace(text: str, start: int) -> int:
    """Return the position of the brace that closes the one at `start`, or -1."""
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if not depth:
            return position
    return -1


def _has_numbered_parts(text: str) -> bool:
    """Return whether answers are numbered, as in `(1) 3 (2) 5`; `(1)(2)` and `f(1) < f(2)` are one answer."""
    for first, second in _LABELS:
        start = text.find(first)
        end = text.find(second, start + len(first)) if start >= 0 else -1
        is_label = start == 0 or (start > 0 and not (text[start - 1].isalnum() or text[start - 1] in ")]}_^"))
        if end > 0 and is_label and not _BETWEEN_LABELS.fullmatch(text, start + len(first), end):
            return True
    return False


def _has_unmarked_parts(text: str) -> bool:
    """Return whether several answers have only space between them: lines, formulas or numbers, as in `$7$ $10$`."""
    lines = text.split("\n")
    if len(lines) > 1 and all(_is_balanced(line) and line.count("$") % 2 == 0 for line in lines):
        return r"\begin{" not in text
    ends = [match.span() for match in _FORMULA.finditer(text)]
    gaps = [text[end:start] for (_, end), (start, _) in zip(ends, ends[1:], strict=False)]
    if any(gap.isspace() for gap in gaps):
        return True
    return bool(_NUMBERS.fullmatch(text)) and not _THOUSANDS.fullmatch(text)


def _unwrapped(text: str) -> str:
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), (r"\boxed{", "}")):
        if text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing):
            inner = text[len(opening) : len(text) - len(closing)]
            if _is_balanced(inner) if closing == "}" else closing not in inner:
                return inner.strip()
    return text


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def choice_text(choices: list[Any], letter: str) -> str | Rejection:
    """Return the text of the choice that a letter names."""
    position = ord(letter.upper()) - ord("A") if len(letter) == 1 else -1
    if not 0 <= position < len(choices):
        return Rejection("choice_out_of_range", f"got {letter[:20]!r} and {len(choices)} choices")
    return text_of(choices[position])
