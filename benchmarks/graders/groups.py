"""Golds that are made of several values: sets, lists, points, systems, matrices."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

from graders.kind import Kind, Pick, Slots, Writings
from graders.latex import sum_of

Rows = tuple[tuple[int, ...], ...]


def distinct(rng: Random, count: int) -> tuple[int, ...]:
    return tuple(rng.sample([n for n in range(-25, 40) if n], count))


class FiniteSet(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"members": distinct(rng, rng.randint(2, 5))}

    def write(self, members: tuple[int, ...]) -> Writings:
        text = ", ".join(map(str, members))
        backwards = ",".join(map(str, reversed(members)))
        return Writings([f"\\{{{text}\\}}", f"\\left\\{{{text}\\right\\}}"], [f"\\{{{backwards}\\}}", text])

    def value(self, members: tuple[int, ...]) -> Hashable:
        return frozenset(members)


class NumberList(Kind):
    """Several values; the order does not matter."""

    def draw(self, rng: Random) -> Slots:
        return {"members": distinct(rng, rng.randint(2, 4))}

    def write(self, members: tuple[int, ...]) -> Writings:
        texts = [str(member) for member in members]
        both = " \\text{ or } " if len(texts) == 2 else ", "
        return Writings(
            [", ".join(texts), ",".join(texts)], [",".join(reversed(texts)), both.join(texts), "，".join(texts)]
        )

    def value(self, members: tuple[int, ...]) -> Hashable:
        return frozenset(members)


class Roots(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"roots": distinct(rng, 2), "variable": Pick("x", ("x", "y", "t"), "name")}

    def write(self, roots: tuple[int, ...], variable: str) -> Writings:
        equations = [f"{variable}={root}" for root in roots]
        return Writings(
            [" \\text{ or } ".join(equations), " or ".join(equations)],
            [", ".join(reversed(equations)), ", ".join(map(str, roots)), "或".join(equations)],
        )

    def value(self, roots: tuple[int, ...], variable: str) -> Hashable:
        return frozenset(roots), variable


class Point(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"coordinates": tuple(rng.randint(-12, 12) for _ in range(rng.choice([2, 2, 3])))}

    def write(self, coordinates: tuple[int, ...]) -> Writings:
        text = ",".join(map(str, coordinates))
        spaced = ", ".join(map(str, coordinates))
        return Writings([f"({text})", f"\\left({spaced}\\right)"], [f"（{spaced}）", f"( {spaced} )"])


class Points(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"first": distinct(rng, 2), "second": distinct(rng, 2)}

    def write(self, first: tuple[int, ...], second: tuple[int, ...]) -> Writings:
        texts = ["(" + ",".join(map(str, point)) + ")" for point in (first, second)]
        return Writings([", ".join(texts), " \\text{ or } ".join(texts)], [",".join(reversed(texts))])

    def value(self, first: tuple[int, ...], second: tuple[int, ...]) -> Hashable:
        return frozenset((first, second))


class Assignments(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"values": distinct(rng, rng.choice([2, 2, 3])), "names": Pick("xyz", ("xyz", "abc", "mnp"), "name")}

    def write(self, values: tuple[int, ...], names: str) -> Writings:
        equations = [f"{name}={value}" for name, value in zip(names, values, strict=False)]
        rows = "\\\\".join(equations)
        return Writings(
            [", ".join(equations), f"\\begin{{cases}}{rows}\\end{{cases}}"],
            [", ".join(reversed(equations)), f"\\left\\{{\\begin{{array}}{{l}}{rows}\\end{{array}}\\right."],
        )

    def value(self, values: tuple[int, ...], names: str) -> Hashable:
        return tuple(zip(names, values, strict=False))


class Piecewise(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"slopes": distinct(rng, 2), "bound": rng.randint(1, 9)}

    def write(self, slopes: tuple[int, ...], bound: int) -> Writings:
        rows = [f"{sum_of([(slopes[0], 'x')])}, & x<{bound}", f"{sum_of([(slopes[-1], 'x')])}, & x \\ge {bound}"]
        return Writings(
            [f"\\begin{{cases}} {' '.join((rows[0], chr(92) * 2, rows[1]))} \\end{{cases}}"],
            [f"\\begin{{cases}}{(chr(92) * 2).join(rows)}\\end{{cases}}"],
        )

    def value(self, slopes: tuple[int, ...], bound: int) -> Hashable:
        if len(slopes) != 2:
            raise ValueError
        return slopes, bound


def matrix(rows: Rows, name: str, gap: str = " ") -> str:
    """Write a matrix; `gap` is the space around `&` and after each row."""
    body = f"{gap}\\\\{gap}".join(f"{gap}&{gap}".join(map(str, row)) for row in rows)
    return f"\\begin{{{name}}}{gap}{body}{gap}\\end{{{name}}}"


class Matrix(Kind):
    def draw(self, rng: Random) -> Slots:
        columns = rng.choice([2, 2, 3])
        return {"rows": tuple(tuple(rng.randint(-9, 12) for _ in range(columns)) for _ in range(rng.choice([2, 2, 3])))}

    def write(self, rows: Rows) -> Writings:
        return Writings(
            [matrix(rows, "pmatrix"), matrix(rows, "pmatrix", ""), matrix(rows, "bmatrix")],
            [f"\\left({matrix(rows, 'matrix', '')}\\right)"],
        )


class Vector(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"entries": tuple(rng.randint(-15, 15) for _ in range(rng.choice([2, 2, 3])))}

    def write(self, entries: tuple[int, ...]) -> Writings:
        rows = tuple((entry,) for entry in entries)
        return Writings(
            [matrix(rows, "pmatrix"), matrix(rows, "pmatrix", "")],
            [
                matrix(rows, "bmatrix"),
                f"\\begin{{pmatrix}}{(chr(92) * 2 + ' ').join(map(str, entries))}\\end{{pmatrix}}",
            ],
        )


class Determinant(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"rows": tuple(tuple(rng.randint(-5, 9) for _ in range(2)) for _ in range(2))}

    def write(self, rows: Rows) -> Writings:
        number = [f"{rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]}"] if len(rows) == 2 else []
        return Writings([matrix(rows, "vmatrix"), matrix(rows, "vmatrix", "")], number)

    def value(self, rows: Rows) -> Hashable:
        if len(rows) != 2:
            raise ValueError
        return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]


class TwoParts(Kind):
    """The answers of two questions."""

    def draw(self, rng: Random) -> Slots:
        return {"answers": distinct(rng, 2)}

    def write(self, answers: tuple[int, ...]) -> Writings:
        numbered = " ".join(f"({i}) {answer}" for i, answer in enumerate(answers, 1))
        return Writings([numbered, "; ".join(map(str, answers))], [";".join(map(str, answers))])


KINDS = tuple(
    kind()
    for kind in (
        FiniteSet, NumberList, Roots, Point, Points, Assignments, Piecewise, Matrix, Vector, Determinant,
        TwoParts,
    )
)  # fmt: skip
