"""Drops the wording around a final answer: `The value of x is 42`, `So x = 42`, `The correct option is B`, `故选D`.

What is left of `The answer is not 42` is `not 42`, which is no number.
"""

import re

_NOUNS = (
    "value|answer|result|solution|option|choice|area|perimeter|circumference|volume|length|width|height|radius|diameter|"
    "distance|slope|angle|sum|total|product|difference|quotient|average|mean|median|mode|range|probability|speed|time|"
    "cost|price|number|measure|ratio|surface area"
)
_IS = r"(?:is|are|equals|will be)\b(?:\s+equal to\b)?"
_INTRODUCTIONS = (
    re.compile(r"(?:so|thus|therefore|hence|finally|then)\b\s*,?\s*", re.IGNORECASE),
    re.compile(r"we (?:get|have|find)\s*(?:that\b)?\s*", re.IGNORECASE),
    re.compile(
        rf"(?:(?:the|my|our) )?(?:(?:final|correct|right|total|shaded) )*(?:{_NOUNS})"
        rf"(?: of .{{1,60}}?)?(?:\s*\b{_IS}\s*:?|\s*:|(?<=answer)(?=\s+[-\\(\d]))\s*",
        re.IGNORECASE,
    ),
    re.compile(rf"(?:it|there) {_IS}\s*", re.IGNORECASE),
    re.compile(rf"[a-z] {_IS}\s*"),
    re.compile(r"(?:所以|因此|综上|故|则|即)\s*,?\s*"),
    re.compile(r"(?:(?:最终|正确|最后)的?)?(?:答案|选项|结果)\s*(?:应?[是为选]|:)+\s*:?\s*"),
    re.compile(r"(?:本题|我|应该?|应当)?选(?:择|项)?\s*:?\s*"),
)
_HOPE = re.compile(r"\.?\s*I hope (?:it|this) is correct\.?\s*$", re.IGNORECASE)
_CHINESE_END = re.compile(r"(?<=[A-J])\s*(?:选项|项)$")


def without_wording(text: str) -> str:
    """Return the answer without its introductions, as many as there are, and without what follows it."""
    text = _CHINESE_END.sub("", _HOPE.sub("", text))
    is_found = True
    while is_found:
        is_found = False
        for introduction in _INTRODUCTIONS:
            match = introduction.match(text)
            if match and match.end() < len(text):
                text, is_found = text[match.end() :].strip(), True
    return text
