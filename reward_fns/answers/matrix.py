r"""Matrices and vectors, entry by entry: `pmatrix`, `bmatrix`, `array`, and `cases` of more than one column.

Determinants are numbers and stay with algebra; `cases` of one column are the equations of a system.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reward_fns.answers.splitting import split_outside

_ENVIRONMENT = re.compile(
    r"(?P<open>\(|\[|\\\{|\{)?\s*\\begin\s*\{(?P<name>[pbB]?matrix|smallmatrix|array|cases|aligned)\}"
    r"(?:\s*\{[lcr| ]*\})?(?P<body>.*)\\end\s*\{(?P=name)\}\s*(?:\)|\]|\\\}|\})?"
)
_ROW = re.compile(r"\\\\")
_CELL = re.compile(r"&")


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple[Any, ...], ...]
    is_cases: bool
    latex: str


def read_rows(text: str) -> tuple[list[list[str]], bool] | None:
    r"""Return the cells of an environment, row by row, and whether it is `cases`; None if the text is not one."""
    match = _ENVIRONMENT.fullmatch(text)
    if not match or r"\begin" in match["body"] or r"\end" in match["body"]:
        return None
    rows, _ = split_outside(match["body"].replace(r"\hline", " "), _ROW)
    cells = [[cell.strip(" ,;") for cell in split_outside(row, _CELL)[0]] for row in rows if row]
    is_array_of_equations = match["name"] == "array" and match["open"] in (None, r"\{") and "=" in match["body"]
    is_cases = match["name"] in ("cases", "aligned") or is_array_of_equations or match["open"] == r"\{"
    return cells, is_cases


def make_matrix(cells: list[list[str]], is_cases: bool, latex: str, read: Callable[[str], Any]) -> Matrix:
    """Return the matrix of these cells, each read into a typed answer."""
    return Matrix(tuple(tuple(read(cell) for cell in row) for row in cells), is_cases, latex)


def is_same_matrix(gold: Matrix, answer: Matrix, same: Callable[[Any, Any], bool]) -> bool:
    """Compare entries at the same place; the shapes must be the same."""
    if gold.is_cases != answer.is_cases or [*map(len, gold.rows)] != [*map(len, answer.rows)]:
        return False
    return all(
        same(a, b) for row, other in zip(gold.rows, answer.rows, strict=True) for a, b in zip(row, other, strict=True)
    )
