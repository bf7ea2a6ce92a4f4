r"""Drops braces that show nothing: `{{8}^{\circ }}` is `8^{\circ }`, as MathType and others write it.

Kept are arguments of commands, exponents and indices. A command in none of the lists may have arguments, so all groups
that follow it are kept.
"""

import re

_TOKEN = re.compile(
    r"\\(?:begin|end)\s*\{[a-zA-Z]+\*?\}(?:\s*\{[lcr| ]*\})?|\\sqrt\s*\[[^\[\]]*\]|\\[a-zA-Z]+|\\.|\s+|.", re.DOTALL
)
_WITHOUT_ARGUMENTS = re.compile(
    r"\\(?:times|cdot|div|pm|mp|ast|le|ge|ne|approx|equiv|sim|cong|in|notin|cup|cap|setminus|subset|rightarrow|Rightarrow|"
    r"perp|parallel|angle|triangle|odot|circ|prime|infty|ldots|emptyset|quad|or|and|alpha|beta|gamma|delta|epsilon|"
    r"varepsilon|zeta|eta|theta|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|varphi|psi|omega|Gamma|Delta|Theta|Lambda|Sigma|"
    r"Phi|Psi|Omega|euro|pound|yuan)"
)
_FRACTION = re.compile(r"\\(?:[dtc]?frac|[dt]?binom)")
_MOST_ARGUMENTS = 3


def without_idle_braces(text: str) -> str:
    r"""Return LaTeX without the braces that show nothing, and without a space before an argument: `\hat{y}`.

    A text whose braces do not pair off is returned as it is.
    """
    kept: list[str] = []
    groups: list[int | None] = []  # of each open group how many more may follow it, None for one that is dropped
    arguments = 0  # groups that may follow here
    is_fraction = False  # one of the arguments may be a digit or letter without braces
    space = ""
    is_after_drop = False
    for token in _TOKEN.findall(text):
        if token.isspace():
            space = token
            continue
        if token == "{":
            groups.append(arguments - 1 if arguments else None)
            token, space = ("{", "") if arguments else ("", space or " " * _ends_with_a_command(kept))
            arguments = 0
        elif token == "}":
            if not groups:
                return text
            rest = groups.pop()
            token, arguments = ("", 0) if rest is None else ("}", rest)
        elif token in ("^", "_"):
            arguments = 1
        elif token[0] == "\\" and token[-1].isalpha() or token.startswith(r"\sqrt"):
            is_fraction = bool(_FRACTION.fullmatch(token))
            arguments = 2 if is_fraction else 0 if _WITHOUT_ARGUMENTS.fullmatch(token) else _MOST_ARGUMENTS
        elif is_fraction and arguments and token.isalnum():
            arguments -= 1
        else:
            arguments = 0
            if token.isdigit() and is_after_drop and kept[-1:] and kept[-1].isdigit():
                space = space or " "  # {x^1}2 is not x^12
        is_after_drop = not token
        if token:
            kept += [space, token] if space else [token]
            space = ""
    return text if groups else "".join(kept)


def _ends_with_a_command(kept: list[str]) -> bool:
    return bool(kept) and kept[-1][0] == "\\" and kept[-1][-1].isalpha()
