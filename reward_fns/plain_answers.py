r"""Compares a final answer with the gold answer: letters, numbers, units, words and lists by rule, the rest by algebra.

Both answers are cleaned of `$`, `$$`, `\(`, trailing full stops, bold, spacing and a nested `\boxed{}`. Then:

- the letter of a choice is compared as a letter, or by the value of that choice;
- parts are compared in order for `(1) 3 (2) 5` and `3; 5`, in any order for `3, 5`, `3 and 5` and `3 or 5`;
- a name on one side only (`x = 3` for `3`) is dropped, two different names are different answers;
- a unit on one side only is dropped, two different units are different answers; 50% is 50 or 0.5;
- numbers are compared as fractions: exactly, or to 6 decimals if one of them is a decimal;
- words are compared as words;
- anything else is compared by `algebra`, a function of (gold, answer) that the caller provides.

Answers longer than MAX_LENGTH are not read, so every comparison by rule is fast.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from reward_fns.latex_text import clean

Algebra = Callable[[str, str], bool]

MAX_LENGTH = 1000  # characters; longer texts are not final answers
MAX_PARTS = 8  # of a list that is compared part by part; longer lists are compared by algebra as a whole

_CHOICE = re.compile(r"(?:(?i:option|choice)\s*)?\(?([A-Ja-j])(?:\)?[.:)]?|\)?[.:)]\s*(\S.*))")
_LABEL = re.compile(r"\(([1-9])\)")
_JOINT = re.compile(r"[(\[{]|[)\]}]|[,;]|\band\b|\bor\b")
_NAME = re.compile(r"[A-Za-z\\_{}' ]{1,30}(?:\([a-z]\)\s*)?")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '/-]+[^\W\d_]+)*")
_WORD = re.compile(r"(?<![\\{a-zA-Z])[a-zA-Z]{3,}")  # not `\begin{cases}`
_UNIT = re.compile(
    r"(?P<value>.*(?:[\d})]|\\pi))(?:\s*(?P<sign>\^\s*\{?\s*\\circ\s*\}?|\\?%|\\degree)"
    r"|(?:\s+|(?<=\d)(?=[a-zA-Z]{2}))(?P<short>mm|cm|dm|km|kg|mg|ml|mL|min|m|g|s|h|L|N|J|W|V|A|Hz|Pa|rad|ft|in)"
    r"(?:\s*\^\s*\{?\s*(?P<power>[23])\s*\}?)?"
    r"|\s+(?P<word>[a-zA-Z]{3,}(?: [a-zA-Z]{2,}){0,2}))\s*"
)
_UNIT_WORDS = {"degree": "deg", "percent": "%", "unit": "", "square unit": "", "meter": "m", "centimeter": "cm"}
_DECIMAL = re.compile(r"([-+]?)\s*(\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})")
_FRACTION = re.compile(
    r"(?P<sign>[-+]?)\s*(?:(?P<whole>\d{1,30})(?:\s+|(?=\\)))?(?:\\frac)?\s*\{?\s*(?P<above>\d{1,30})"
    r"\s*(?:\}\s*\{|/)\s*(?P<below>\d{1,30})\s*\}?"
)
_ROUNDING = Fraction(1, 2_000_000)  # half a unit of the sixth decimal


class BadGold(ValueError):
    """Raised if the gold answer cannot be read, so that no answer can be compared with it."""


def is_same(gold: str, answer: str, choices: Sequence[str], algebra: Algebra) -> bool:
    """Return whether two answers are the same.

    Args:
        gold, answer: texts of the answers.
        choices: choices of a multiple-choice question, in the order of the letters A, B, ...; else empty.
        algebra: returns whether two expressions are equal; it gets them cleaned, without unit and name.

    Raises:
        BadGold: the gold answer is empty, too long, prose with numbers, or a letter beyond the choices.
    """
    gold = clean(gold) if len(gold) <= MAX_LENGTH else ""
    if not gold:
        raise BadGold
    if len(answer) > MAX_LENGTH:
        return False
    answer = clean(answer)
    letter, after_letter = _choice(answer)
    gold_letter, _ = _choice(gold)
    if gold_letter and gold_letter in gold:  # the gold has a capital; a small letter is a variable
        if choices and _index(gold_letter) >= len(choices):
            raise BadGold
        if letter:
            return letter == gold_letter
        return bool(choices) and _same_list(clean(choices[_index(gold_letter)]), answer, algebra)
    if letter and choices:
        answer = clean(choices[_index(letter)]) if _index(letter) < len(choices) else ""
    elif letter:
        answer = after_letter or answer
    return _same_list(gold, answer, algebra)


def answer_type(gold: str) -> str:
    """Return how a gold answer is compared: "choice", "number", "words", "several" or, by algebra, "expression"."""
    gold = clean(gold) if len(gold) <= MAX_LENGTH else ""
    letter, _ = _choice(gold)
    if letter and letter in gold:
        return "choice"
    if len(_parts(gold)[0]) > 1:
        return "several"
    value, _ = _split_unit(_split_name(gold)[1])
    if _number(value) is not None:
        return "number"
    return "words" if _is_words(value) else "expression"


def _choice(text: str) -> tuple[str | None, str | None]:
    """Return the letter of `B`, `(b)` or `B. 12` as a capital, and the text after it."""
    match = _CHOICE.fullmatch(text)
    return (match[1].upper(), match[2]) if match else (None, None)


def _index(letter: str) -> int:
    return ord(letter) - ord("A")


def _same_list(gold: str, answer: str, algebra: Algebra) -> bool:
    gold_parts, is_ordered = _parts(gold)
    parts, _ = _parts(answer)
    if len(gold_parts) != len(parts):
        return False
    if is_ordered or len(parts) == 1:
        return all(_same(a, b, algebra) for a, b in zip(gold_parts, parts, strict=True))
    for part in gold_parts:
        partner = next((other for other in parts if _same(part, other, algebra)), None)
        if partner is None:
            return False
        parts.remove(partner)
    return True


def _parts(text: str) -> tuple[list[str], bool]:
    """Return the parts of a list, and whether their order matters."""
    if text.startswith("(1)") and "(2)" in text:
        parts, is_ordered = _LABEL.split(text)[2::2], True
    else:
        parts, is_ordered, start, depth = [], False, 0, 0
        for joint in _JOINT.finditer(text):
            token = joint.group()
            if token in "([{":
                depth += 1
            elif token in ")]}":
                depth -= 1
            elif depth == 0:
                parts.append(text[start : joint.start()])
                start = joint.end()
                is_ordered |= token == ";"
        parts.append(text[start:])
    parts = [stripped for part in parts if (stripped := part.rstrip(" .,;:").lstrip(" ,;:"))]
    return (parts, is_ordered) if 1 <= len(parts) <= MAX_PARTS else ([text], False)


def _same(gold: str, answer: str, algebra: Algebra) -> bool:
    name, gold_value = _split_name(gold)
    other_name, value = _split_name(answer)
    if name and other_name:
        if name != other_name:
            return False
        gold, answer = gold_value, value
    elif (name or other_name) and gold.count("=") + answer.count("=") == 1:
        gold, answer = gold_value, value
    (gold, unit), (answer, other_unit) = _split_unit(gold), _split_unit(answer)
    if unit and other_unit and unit != other_unit:
        return False
    number, other = _number(gold), _number(answer)
    if number is not None and other is not None:
        factors = (1, 100, Fraction(1, 100)) if (unit == "%") != (other_unit == "%") else (1,)
        return any(_close(number, other * factor, "." in gold + answer) for factor in factors)
    if _is_words(gold):
        return gold.casefold() == answer.casefold()
    if _is_prose(gold):
        raise BadGold
    return not (_is_words(answer) or _is_prose(answer)) and algebra(gold, answer)


def _split_name(text: str) -> tuple[str, str]:
    """Return `x` and `3` for `x = 3`; the name is empty if there is none, as in `2x + y = 3`."""
    name, equals, value = text.partition("=")
    is_name = equals and "=" not in value and value.strip() and _NAME.fullmatch(name)
    return ("".join(name.split()), value.strip()) if is_name else ("", text)


def _split_unit(text: str) -> tuple[str, str]:
    """Return `12` and `cm^2` for `12 cm^{2}`; the unit is empty if there is none."""
    match = _UNIT.fullmatch(text)
    if not match:
        return text, ""
    if match["sign"]:
        return match["value"], "%" if "%" in match["sign"] else "deg"
    if match["short"]:
        return match["value"], match["short"] + (f"^{match['power']}" if match["power"] else "")
    word = match["word"].lower().removesuffix("s")
    return match["value"], _UNIT_WORDS.get(word, word)


def _number(text: str) -> Fraction | None:
    match = _DECIMAL.fullmatch(text)
    if match:
        return Fraction(match[1] + match[2].removesuffix("."))
    match = _FRACTION.fullmatch(text)
    if not match or not int(match["below"]):
        return None
    value = int(match["whole"] or 0) + Fraction(int(match["above"]), int(match["below"]))
    return -value if match["sign"] == "-" else value


def _close(a: Fraction, b: Fraction, is_rounded: bool) -> bool:
    return a == b or is_rounded and abs(a - b) <= _ROUNDING


def _is_words(text: str) -> bool:
    """Return whether a text is compared as it is: words, or points of a figure (`AB`), but not a product (`ab`)."""
    return bool(_WORDS.fullmatch(text)) and (
        text.isupper() or len(text) == 1 or text == "no" or bool(_WORD.search(text))
    )


def _is_prose(text: str) -> bool:
    """Return whether a text has several words that are not LaTeX commands."""
    return len(_WORD.findall(text)) > 1
