r"""A final answer without what says nothing: dollars, stops, spacing and text commands, bold, a nested \boxed{}."""

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
    r"""The answer in plain LaTeX: `**$$\dfrac{1}{2}\text{ cm}$$.**` becomes `\frac{1}{2} cm`.

    Its cost grows with the square of the length at worst: give it answers, not solutions.
    """
    text = text.translate(_TABLE).strip("* \n\t").replace("**", "^")
    text = re.sub(r"\\[dt]frac", r"\\frac", text).replace(r"\approx", "=")
    text = _TEXT.sub(r" \1 ", _SPACING.sub(" ", text))
    text = _SQRT.sub(lambda found: rf"\sqrt{{{found[1] or found[2]}}}", text)
    text = " ".join(_BARE.sub(r"\\\1 ", text).split())
    said = _ANSWER_IS.match(text)
    text = text[said.end() :] if said else text
    text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    text = text.rstrip(" .,;:\\*").lstrip(" ,;:=*")
    return text[1:-1].strip() if text.startswith("{") and text.endswith("}") and text.count("{") == 1 else text
