"""Golds that are equations, curves and functions with a name."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from random import Random

from graders.expressions import name, signed
from graders.kind import Kind, Pick, Slots, Writings
from graders.latex import decimal, fraction, sum_of


class GeneralTerm(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"step": rng.randint(2, 12), "start": signed(rng, 1, 12), "series": name("a", "abS")}

    def write(self, step: int, start: int, series: str) -> Writings:
        term = sum_of([(step, "n"), (start, "")])
        return Writings(
            [f"{series}_n={term}", f"{series}_{{n}} = {term}"],
            [f"{series}_n={sum_of([(start, ''), (step, 'n')])}", term],
        )


class LinearFunction(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"slope": signed(rng, 2, 12), "start": signed(rng, 1, 20), "function": name("y", "yz")}

    def write(self, slope: int, start: int, function: str) -> Writings:
        term = sum_of([(slope, "x"), (start, "")])
        return Writings(
            [f"{function}={term}", f"{function} = {term}"], [f"{function}={sum_of([(start, ''), (slope, 'x')])}", term]
        )


class Line(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"coefficients": (signed(rng, 2, 9), signed(rng, 2, 9), signed(rng, 1, 20))}

    def write(self, coefficients: tuple[int, ...]) -> Writings:
        a, b, c = coefficients
        slope, start = Fraction(-a, b), Fraction(-c, b)
        plus = "+" if start > 0 else ""
        return Writings(
            [f"{sum_of([(a, 'x'), (b, 'y'), (c, '')])}=0", f"{sum_of([(a, 'x'), (b, 'y')])}={-c}"],
            [f"{sum_of([(-a, 'x'), (-b, 'y'), (-c, '')])}=0", f"y={fraction(slope)}x{plus}{fraction(start)}"],
        )

    def value(self, coefficients: tuple[int, ...]) -> Hashable:
        if len(coefficients) < 3 or not coefficients[0]:
            raise ValueError
        return tuple(Fraction(number, coefficients[0]) for number in coefficients)


class Circle(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"centre": (signed(rng, 1, 9), signed(rng, 1, 9)), "square": rng.randint(2, 81)}

    def write(self, centre: tuple[int, ...], square: int) -> Writings:
        h, k = centre
        terms = [(1, "x^2"), (1, "y^2"), (-2 * h, "x"), (-2 * k, "y"), (h * h + k * k - square, "")]
        return Writings([f"(x{-h:+d})^2+(y{-k:+d})^2={square}"], [f"{sum_of(terms)}=0"])

    def value(self, centre: tuple[int, ...], square: int) -> Hashable:
        if len(centre) != 2 or square < 1:
            raise ValueError
        return centre, square


class Conic(Kind):
    def draw(self, rng: Random) -> Slots:
        return {
            "halves": (rng.randint(2, 30), rng.randint(2, 30)),
            "sign": Pick(rng.choice("+-"), ("+", "-"), "operator"),
        }

    def write(self, halves: tuple[int, ...], sign: str) -> Writings:
        a, b = halves
        right = a * b
        return Writings(
            [
                f"\\frac{{x^2}}{{{a}}}{sign}\\frac{{y^2}}{{{b}}}=1",
                f"\\frac{{x^{{2}}}}{{{a}}} {sign} \\frac{{y^{{2}}}}{{{b}}} = 1",
            ],
            [f"{b}x^2{sign}{a}y^2={right}"],
        )

    def value(self, halves: tuple[int, ...], sign: str) -> Hashable:
        if len(halves) != 2 or min(halves) < 1:
            raise ValueError
        return halves, sign


class NoRealRoot(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"times": rng.randint(2, 9), "plus": rng.randint(1, 20), "variable": name("x", "xy")}

    def write(self, times: int, plus: int, variable: str) -> Writings:
        return Writings([f"{times}{variable}^2+{plus}=0"], [f"{plus}+{times}{variable}^2=0"])

    def value(self, times: int, plus: int, variable: str) -> Hashable:
        if min(times, plus) < 1:
            raise ValueError
        return Fraction(plus, times), variable


class Chain(Kind):
    """A value, worked out: no variable, three equal sides; one wrong side makes the chain false."""

    def draw(self, rng: Random) -> Slots:
        above, below = rng.randint(1, 30), rng.choice([4, 5, 8, 20])
        return {"above": above, "below": below, "times": rng.randint(2, 4), "thousandths": 1000 * above // below}

    def write(self, above: int, below: int, times: int, thousandths: int) -> Writings:
        value, end = fraction(Fraction(above, below)), decimal(thousandths, 3)
        start = f"\\frac{{{above * times}}}{{{below * times}}}"
        return Writings([f"{start}={value}={end}", f"{start} = {value} = {end}"], [value, end])

    def value(self, above: int, below: int, times: int, thousandths: int) -> Hashable:
        if min(above, below, times) < 1 or 1000 % below:
            raise ValueError
        return Fraction(above, below), thousandths


class Logarithm(Kind):
    """An equation without a variable."""

    def draw(self, rng: Random) -> Slots:
        base = rng.randint(2, 6)
        return {"base": Pick(base, (2, 3, 4, 5, 6, 7), "base"), "power": rng.randint(2, 6), "inside": base}

    def write(self, base: int, power: int, inside: int) -> Writings:
        argument = abs(inside) ** min(abs(power), 6)
        return Writings([f"\\log_{base}({argument})={power}", f"\\log_{{{base}}}({argument}) = {power}"])


KINDS = tuple(
    kind()
    for kind in (
        GeneralTerm, LinearFunction, Line, Circle, Conic, NoRealRoot, Chain, Logarithm,
    )
)  # fmt: skip
