r"""Cleans a final answer of dollars, full stops, spacing and text commands, bold, and a nested \boxed{}."""

import re

_CHARACTERS = {
    "−": "-", "–": "-", "×": r"\times ", "÷": r"\div ", "·": r"\cdot ", "π": r"\pi ", "√": r"\sqrt ", "∠": r"\angle ",
    "°": r"^\circ ", "²": "^2", "³": "^3", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": "=", "∞": r"\infty ",
    "△": r"\triangle ", "。": ".", "，": ",", "；": ";", "：": ":", "（": "(", "）": ")", "％": "%", "\u00a0": " ",
    "$": " ", "~": " ", "¥": " ", "€": " ", "£": " ",
}  # fmt: skip
_TABLE = str.maketrans(_CHARACTERS)
_SPACING = re.compile(r"\\(?:left|right|displaystyle|limits|q?quad|[bB]igg?|boxed)(?![a-zA-Z])|\\[()\[\],;:! ]")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_ANSWER_IS = re.compile(
    r"(?:so |thus |therefore,? )?(?:the )?(?:final |correct )?answer(?: is\b|\s*:)\s*:?", re.IGNORECASE
)
_SQRT = re.compile(r"(?:\\|(?<![\\a-zA-Z]))sqrt\s*(?:\(([^()]*)\)|(\d+|[a-zA-Z](?![a-zA-Z])))")
_BARE = re.compile(r"(?<![\\a-zA-Z])(pi|sin|cos|tan|cot|log|ln)(?![a-zA-Z])")
_THOUSANDS = re.compile(r"(?<![\d.,(\[{])\d{1,3}(?:,\d{3})+(?![\d,])")


def clean(text: str) -> str:
    r"""Return the answer in plain LaTeX: `**$$\dfrac{1}{2}\text{ cm}$$.**` becomes `\frac{1}{2} cm`.

    Takes time quadratic in the length at worst, so call it on answers, not on solutions.
    """
    text = text.translate(_TABLE).strip("* \n\t").replace("**", "^")
    text = re.sub(r"\\[dt]frac", r"\\frac", text).replace(r"\approx", "=")
    text = _TEXT.sub(r" \1 ", _SPACING.sub(" ", text))
    text = _SQRT.sub(lambda match: rf"\sqrt{{{match[1] or match[2]}}}", text)
    text = " ".join(_BARE.sub(r"\\\1 ", text).split())
    prefix = _ANSWER_IS.match(text)
    text = text[prefix.end() :] if prefix else text
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    text = text.rstrip(" .,;:\\*").lstrip(" ,;:=*")
    return text[1:-1].strip() if text.startswith("{") and text.endswith("}") and text.count("{") == 1 else text
