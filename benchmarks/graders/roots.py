"""Golds that are numbers with a root, pi or i."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from random import Random
from typing import Any

from graders.kind import Kind, Pick, Slots, Writings
from graders.latex import square_part


class Root(Kind):
    def draw(self, rng: Random) -> Slots:
        return {
            "times": rng.randint(2, 25) * rng.choice([1, 1, -1]),
            "radicand": rng.choice([2, 3, 5, 6, 7, 10, 13, 21]),
        }

    def write(self, times: int, radicand: int) -> Writings:
        sign = "-" if times < 0 else ""
        return Writings(
            [f"{times}\\sqrt{{{radicand}}}", f"{times} \\sqrt {{{radicand}}}"],
            [
                f"{times}\\cdot\\sqrt{{{radicand}}}",
                f"{sign}\\sqrt{{{times * times * radicand}}}",
                f"{times}√{radicand}",
            ],
        )

    def value(self, times: int, radicand: int) -> int:
        if radicand < 2:
            raise ValueError
        return times * abs(times) * radicand


class Surd(Kind):
    r"""`\frac{a+b\sqrt{c}}{d}`"""

    def draw(self, rng: Random) -> Slots:
        return {
            "plus": rng.randint(1, 20) * rng.choice([1, -1]),
            "times": rng.randint(2, 9) * rng.choice([1, -1]),
            "radicand": rng.choice([2, 3, 5, 7, 11, 13]),
            "below": rng.randint(2, 9),
        }

    def write(self, plus: int, times: int, radicand: int, below: int) -> Writings:
        return Writings(
            [f"\\frac{{{plus}{times:+d}\\sqrt{{{radicand}}}}}{{{below}}}"],
            [
                f"\\frac{{{times}\\sqrt{{{radicand}}}{plus:+d}}}{{{below}}}",
                f"({plus}{times:+d}\\sqrt{{{radicand}}})/{below}",
            ],
        )

    def value(self, plus: int, times: int, radicand: int, below: int) -> Any:
        if radicand < 2 or below < 1:
            raise ValueError
        outside, inside = square_part(radicand)
        if inside == 1:
            return Fraction(plus + times * outside, below), 0, 0
        return Fraction(plus, below), Fraction(times * outside, below), inside


class PiMultiple(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"above": rng.randint(2, 30), "below": rng.choice([1, 2, 3, 4, 6])}

    def write(self, above: int, below: int) -> Writings:
        if below == 1:
            return Writings([f"{above}\\pi"], [f"{above} \\pi", f"\\pi \\cdot {above}", f"{above}π"])
        return Writings(
            [f"\\frac{{{above}\\pi}}{{{below}}}", f"\\frac{{{above}}}{{{below}}}\\pi"], [f"{above}π/{below}"]
        )

    def value(self, above: int, below: int) -> Fraction:
        if below < 1:
            raise ValueError
        return Fraction(above, below)


class PlusMinus(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"centre": rng.randint(-9, 9), "radicand": rng.choice([2, 3, 4, 5, 7, 9, 13])}

    def write(self, centre: int, radicand: int) -> Writings:
        root = f"{square_part(radicand)[0]}" if square_part(radicand)[1] == 1 else f"\\sqrt{{{radicand}}}"
        shown = f"{centre}" if centre else ""
        plus = f"{shown}+{root}" if centre else root
        return Writings(
            [f"{shown}\\pm {root}"], [f"{plus}, {shown}-{root}", f"x={plus} \\text{{ or }} x={shown}-{root}"]
        )

    def value(self, centre: int, radicand: int) -> Any:
        if radicand < 1:
            raise ValueError
        return centre, radicand


class Complex(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"real": rng.randint(-20, 20) or 3, "imaginary": rng.randint(2, 20) * rng.choice([1, -1])}

    def write(self, real: int, imaginary: int) -> Writings:
        return Writings([f"{real}{imaginary:+d}i"], [f"{imaginary}i{real:+d}", f"{real} {imaginary:+d} i"])


class SumOfRoots(Kind):
    r"""A sum of two roots, such as `\sqrt{6}-\sqrt{2}`."""

    def draw(self, rng: Random) -> Slots:
        pair = rng.sample([2, 3, 5, 6, 7, 10, 11, 13, 14, 15], 2)
        return {"radicands": tuple(pair), "sign": Pick(rng.choice("+-"), ("+", "-"), "operator")}

    def write(self, radicands: tuple[int, ...], sign: str) -> Writings:
        first, second = radicands
        both = f"\\sqrt{{{second}}}+\\sqrt{{{first}}}" if sign == "+" else f"-\\sqrt{{{second}}}+\\sqrt{{{first}}}"
        return Writings([f"\\sqrt{{{first}}}{sign}\\sqrt{{{second}}}"], [both])

    def value(self, radicands: tuple[int, ...], sign: str) -> Hashable:
        if len(radicands) != 2 or min(radicands) < 2 or len({square_part(part)[1] for part in radicands}) < 2:
            raise ValueError
        return (frozenset(radicands), sign) if sign == "+" else (radicands, sign)


KINDS = tuple(
    kind()
    for kind in (
        Root, Surd, PiMultiple, PlusMinus, Complex, SumOfRoots,
    )
)  # fmt: skip
