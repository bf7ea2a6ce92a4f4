"""Expressions: what only algebra can compare, in its own process, as LaTeX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Expression:
    latex: str
