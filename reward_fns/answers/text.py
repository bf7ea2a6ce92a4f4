r"""Cleans a final answer, so that the readers of the types meet one spelling of each sign.

`**$$\dfrac12\text{ cm}²$$.**` becomes `\frac{1}{2} cm ^{2}`. The order of the steps matters: row ends `\\` are kept
while spacing goes, and thousands are joined while their `,\!` still tells them from a list.
"""

import re
from functools import lru_cache

from reward_fns.answers.braces import without_idle_braces
from reward_fns.answers.unit import LONG_NAMES
from reward_fns.answers.wording import without_wording

_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "×": r"\times ", "÷": r"\div ", "·": r"\cdot ", "⋅": r"\cdot ",
    "π": r"\pi ", "√": r"\sqrt ", "∠": r"\angle ", "°": r"^\circ ", "º": r"^\circ ", "℃": r"^\circ C", "′": "'",
    "’": "'", "″": "''", "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∞": r"\infty ", "△": r"\triangle ", "±": r"\pm ", "∓": r"\mp ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}", "∈": r"\in ", "∥": r"\parallel ", "⊥": r"\perp ", "θ": r"\theta ", "α": r"\alpha ",
    "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "λ": r"\lambda ", "ρ": r"\rho ", "σ": r"\sigma ", "φ": r"\phi ",
    "ω": r"\omega ", "Ω": r"\Omega ", "\u2126": r"\Omega ", "µ": r"\mu ", "μ": r"\mu ", "∶": ":", "½": r"\frac{1}{2}",
    "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "。": ".", "、": ",", "【": "[", "】": "]", "\u3000": " ", "\u00a0": " ",
    "→": r"\rightarrow ",
    "\u2009": " ", "\u202f": " ", "“": "", "”": "", "€": r" \euro ", "£": r" \pound ", "¥": r" \yuan ",
}  # fmt: skip
_FULL_WIDTH = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # ０ → 0, （ → (, ， → ,
_TABLE = str.maketrans({**_FULL_WIDTH, **_CHARACTERS, "￥": r" \yuan "})
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")

_BOLD = re.compile(r"(?<![\w)}\]*])\*\*(?!\*)([^*]{1,300})\*\*")  # not the power of x**2 + y**2
_UNDERLINED = re.compile(r"__([^_]{1,300})__")
_POWER = re.compile(r"\*\*\s*(-?\d+|\w)?")
_CURRENCY = re.compile(r"(?<![$\\])\$(?=\s*\d)")
_THOUSANDS = re.compile(r"(?<![\d.,\\!}])([1-9]\d{0,2})((?:(?:,\s?\\!|\\!\s?,|\{,\}|\\,|\\ )\s?\d{3})+)(?!\d)")
_COMMAS = re.compile(r"(?<![\d.,(\[{])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt|up)?|math(?:rm|bf|it|sf|tt|normal)|bm|boldsymbol|[mhf]box|operatorname\*?)"
    r"\s*(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(?=\\(?!text)[a-zA-Z]|[a-zA-Z0-9]))"
)
_OLD_FONT_GROUP = re.compile(r"\{\s*\\(?:rm|bf|it|sf|tt)(?![a-zA-Z])([^{}]*)\}")
_OLD_FONT = re.compile(
    r"\\(?:rm|bf|it|sf|tt|displaystyle|textstyle|limits|boxed(?!\s*\{\s*\})|[lr]vert(?=\|))(?![a-zA-Z])"
)
_SPACING = re.compile(
    r"\\\\(?:\s*\[[\d.]{1,5}(?:pt|em|ex|mm|cm)\])?|\\(?:left|right)(?![a-zA-Z])\s*\.?|\\(?:q?quad|[bB]igg?[lr]?)(?![a-zA-Z])"
    r"|\\[()\[\],;:! ]|\\$"
)
_NAMES = {
    "leq": "le", "leqslant": "le", "lt": "<", "geq": "ge", "geqslant": "ge", "gt": ">", "neq": "ne", "dfrac": "frac",
    "tfrac": "frac", "cfrac": "frac", "lbrace": "{", "rbrace": "}", "varnothing": "emptyset", "degree": "^circ",
    "textdegree": "^circ", "dots": "ldots", "cdots": "ldots", "colon": ":", "ast": "*", "mid": "|", "vert": "|",
    "lvert": "|", "rvert": "|", "lor": "or", "vee": "or", "land": "and", "wedge": "and", "infin": "infty",
    "to": "rightarrow", "bigcup": "cup", "simeq": "approx", "backslash": "setminus",
}  # fmt: skip
_NAME = re.compile(r"\\([a-zA-Z]+)")
_PLAIN = {"<", ">", "|", ":", "*", "or", "and"}  # of the names above: those that are no commands
_PRIMES = re.compile(r"\^\s*(?:\{\s*((?:\\prime\s*)+)\}|\\prime(?![a-zA-Z]))")
_EXPONENT = re.compile(r"\^\s*(-?\d+(?![\d.])|[a-zA-Z](?![a-zA-Z])|[-+](?![\w\\{(]))")
_INDEX = re.compile(r"(\\log)?\s*_\s*(\d+|[a-zA-Z])")
_CIRCLE = re.compile(r"\^\s*(?:\{\s*(?:\^\s*)?\\circ(?![a-zA-Z])\s*\}|(?:\^\s*)?\\circ(?![a-zA-Z]))\s*")
_SQRT = re.compile(r"(?:\\|(?<![\\a-zA-Z]))sqrt\s*(?:\(([^()]*)\)|(\d+|[a-zA-Z](?![a-zA-Z])))")
_ARGUMENT = r"\s*(\{[^{}]*\}|\\[a-zA-Z]+|[\da-zA-Z])"
_FRACTION = re.compile(r"\\frac(?:(?!\s*\{)" + _ARGUMENT + _ARGUMENT + r"|\s*(\{[^{}]*\})(?!\s*\{)" + _ARGUMENT + ")")
_ACCENT = re.compile(r"\\(vec|hat|bar|tilde|overline|overrightarrow) ?([a-zA-Z])(?![a-zA-Z])")
_BEFORE_A_UNIT = re.compile(r"(?:\}|\\pi)(?:\s|~|\\[,;: ])*$")
_AFTER_A_LETTER = re.compile(r"\s*[_(a-zA-Z0-9\\]")
_UNIT_BESIDE_DOLLARS = re.compile(r"(?<=\})\s*\$+\s*([a-zA-Z]{1,2})(?=\s*\.?$)")
_QUESTION = re.compile(r"((?:[<>=]|\\(?:le|ge|ne) ).*)\?$")  # a flowchart's condition, i \le 10?
_BARE = re.compile(r"(?<![\\a-zA-Z])(pi|(?:arc)?(?:sin|cos|tan)|cot|log|ln|infty)(?![a-zA-Z])")
_CHINESE_OR = re.compile(r"\s*(?:或者|或)\s*")
_CHINESE_AND = re.compile(r"\s*(?:并且|且)\s*|(?<=[\x00-\x7f①-⑳])(?:和|与|以及|及)(?=[\x00-\x7f①-⑳])")


@lru_cache(maxsize=1024)  # a group of responses has one gold, and many equal answers
def clean(text: str) -> str:
    r"""Return an answer in plain LaTeX, without dollars, bold, fonts, spacing, introduction and trailing full stop.

    Kept are `\\` (a row of a matrix), `\$` (a currency), `\{`, and the letters with their case. Takes time quadratic in
    the length at worst, so call it on answers, not on solutions.
    """
    text = _SUPERSCRIPT.sub(lambda match: "^{" + match[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT.sub(lambda match: "_{" + match[0].translate(_SUBSCRIPTS) + "}", text)
    text = text.translate(_TABLE)
    if "**" in text:
        text = _POWER.sub(lambda match: f"^{{{match[1]}}}" if match[1] else "^", _BOLD.sub(r" \1 ", text).strip("* \n"))
    text = _UNIT_BESIDE_DOLLARS.sub(lambda match: f"$ {LONG_NAMES.get(match[1], match[1])}", text)
    text = _without_dollars(_UNDERLINED.sub(r"\1", text.strip("*`# \n\t")))
    if "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text)  # LaTeX that was escaped twice
    text = _THOUSANDS.sub(lambda match: match[1] + "".join(re.findall(r"\d{3}", match[2])), text)
    text = _one_name_each(_OLD_FONT_GROUP.sub(r" \1 ", _FONT.sub(_plain_font, _FONT.sub(_plain_font, text))))
    text = _SPACING.sub(lambda match: r" \\ " if match[0].startswith(r"\\") else " ", _OLD_FONT.sub(" ", text))
    text = _one_form_of_arguments(without_idle_braces(text))
    text = _CHINESE_AND.sub(" and ", _CHINESE_OR.sub(" or ", text))
    text = " ".join(_BARE.sub(r"\\\1 ", text).split())
    text = without_wording(text)
    text = _COMMAS.sub(lambda match: match[0].replace(",", ""), text)
    text = text.rstrip(" .,;:\\*").lstrip(" ,;:=*")
    return _QUESTION.sub(r"\1", text.removeprefix(r"\approx ")).strip()


def _without_dollars(text: str) -> str:
    r"""Drop the dollars of LaTeX; an odd one before a number is a currency, `\$`."""
    bare = re.sub(r"\\\$", "", text).count("$")
    if bare % 2:
        text = _CURRENCY.sub(r"\\$", text, count=1)
    return re.sub(r"(?<!\\)\$", " ", text).replace("~", " ")


def _plain_font(match: re.Match[str]) -> str:
    """Return what stands in a font; an upright letter after a root, a fraction or pi is a unit and written out."""
    letter, power, exponent = (match[1] or "").strip(" ~").partition("^")
    before, after = match.string[: match.start()], match.string[match.end() :]
    is_unit = letter in LONG_NAMES and _BEFORE_A_UNIT.search(before) and not _AFTER_A_LETTER.match(after)
    return f" {LONG_NAMES[letter] + power + exponent if is_unit else match[1] or ''} "


def _one_name_each(text: str) -> str:
    def rename(match: re.Match[str]) -> str:
        name = _NAMES.get(match[1])
        if name is None:
            return match[0]
        return (
            f" {name} "
            if name in _PLAIN
            else "^\\circ "
            if name == "^circ"
            else "\\" + name + (" " if name.isalpha() else "")
        )

    text = _NAME.sub(rename, text)
    return (
        text.replace(r"\%", "%")
        .replace("<=", r"\le ")
        .replace(">=", r"\ge ")
        .replace("!=", r"\ne ")
        .replace(r"\|", "|")
    )


def _one_form_of_arguments(text: str) -> str:
    r"""Put braces around the arguments of `\frac12`, `\sqrt2`, `\vec a`, `x^2` and `a_n`, and write primes as `'`."""
    text = _CIRCLE.sub(r"^\\circ ", text)
    text = _PRIMES.sub(lambda match: "'" * (match[1] or r"\prime").count(r"\prime"), text)
    text = _EXPONENT.sub(r"^{\1}", text)
    text = _INDEX.sub(_with_braces, text)
    text = _SQRT.sub(lambda match: rf"\sqrt{{{match[1] or match[2]}}}", text)
    return _FRACTION.sub(_fraction, _ACCENT.sub(r"\\\1{\2}", text))


def _with_braces(match: re.Match[str]) -> str:
    log, index = match.groups()
    return rf"\log_{{{index[0]}}}{index[1:]}" if log else f"_{{{index}}}"


def _fraction(match: re.Match[str]) -> str:
    above, below = (match[1], match[2]) if match[1] else (match[3], match[4])
    return rf"\frac{{{above.strip('{}')}}}{{{below.strip('{}')}}}"
