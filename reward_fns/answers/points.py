r"""Points of a figure, for algebra: `AB` is a segment and no product, `A'` is another point than `A`.

A run of points becomes one symbol, and reads the same backwards: segments `AB` and `BA`, angles `\angle ABC` and
`\angle CBA`. A triangle's points may stand in any order, and `\overrightarrow{BA}` is `-\overrightarrow{AB}`.

Capitals may be quantities as well, as in `V = IR`. They are taken for factors if one of them stands alone in one of two
texts with the same capitals, as in `I \cdot R`, or in `(A+B)^2` and `A^2 + 2AB + B^2`.
"""

import re

_POINT = r"[A-Z](?:_\{[^{}]{1,12}\}|')*"
_RUN = rf"(?:{_POINT}\s*)+"
_PRIMES = re.compile(r"((?:\\[a-zA-Z]+|(?<![\\a-zA-Z])[a-zA-Z]|[A-Z])\s*)(?:_\{([^{}]*)\})?('+)")
_ONE_POINT = re.compile(_POINT)
_FIGURES = re.compile(
    rf"\\(?:overrightarrow|vec)\s*\{{\s*(?P<vector>{_RUN})\}}|\\overline\s*\{{\s*(?P<line>{_RUN})\}}"
    rf"|\\triangle\s*(?P<triangle>{_RUN})|\\angle\s*(?:(?P<angle>{_RUN})|(?P<number>\d{{1,2}})|(?=[a-z\\]))"
    rf"|\\(?:sin|cos|tan|cot|odot|circ)(?![a-zA-Z])\s*(?:{_POINT})?|\\[a-zA-Z]+|_\{{[^{{}}]*\}}|(?P<run>{_RUN})"
)
_SYMBOLS = {"run": r"\xi", "line": r"\zeta", "angle": r"\theta"}


def with_symbols(text: str, factors: frozenset[str] = frozenset()) -> str:
    r"""Return LaTeX in which each run of points is one symbol; runs with one of the `factors` stay products.

    Raises:
        ValueError: a prime stands where no letter does, as in `60'`.
    """

    def symbol(match: re.Match[str]) -> str:
        kind = match.lastgroup
        if kind == "number":
            return rf" \theta_{{{match[kind]}}} "
        if kind is None:
            return "" if match[0].startswith(r"\angle") else match[0]
        points = _ONE_POINT.findall(match[kind])
        if len(points) == 1 and kind != "triangle" or kind == "run" and factors.intersection(points):
            return match[0] if kind != "angle" else " " + match[kind]
        names = [re.sub(r"[_{}]", "", point.replace("'", "prime")) for point in points]
        forward, backward = "".join(names), "".join(reversed(names))
        if kind == "triangle":
            return rf" \tau_{{{''.join(sorted(names))}}} "
        if kind == "vector":
            return rf" \nu_{{{forward}}} " if forward <= backward else rf" (-\nu_{{{backward}}}) "
        return rf" {_SYMBOLS[kind]}_{{{min(forward, backward)}}} "

    text = _PRIMES.sub(
        lambda match: f"{match[1].strip()}_{{{match[2] or ''}{'prime' * len(match[3])}}}", _FIGURES.sub(symbol, text)
    )
    if "'" in text:
        raise ValueError(f"answer: got {text}, expected primes after letters only")
    return text


def factors_of(*texts: str) -> frozenset[str]:
    """Return the capitals that stand alone in one of the texts; none if the texts do not have the same capitals."""
    capitals, alone = [], set()
    for text in texts:
        runs = [_ONE_POINT.findall(match["run"]) for match in _FIGURES.finditer(text) if match["run"]]
        capitals.append({point for run in runs for point in run})
        alone |= {run[0] for run in runs if len(run) == 1}
    return frozenset(alone) if all(names == capitals[0] for names in capitals) else frozenset()
