"""Golds that are expressions."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

from graders.kind import Kind, Pick, Slots, Writings
from graders.latex import sum_of
from graders.numbers import exponent


def signed(rng: Random, low: int, high: int) -> int:
    return rng.randint(low, high) * rng.choice([1, -1])


def name(value: str, options: str) -> Pick:
    return Pick(value, tuple(options), "name")


class Polynomial(Kind):
    """From the square down to the constant."""

    def draw(self, rng: Random) -> Slots:
        return {"coefficients": tuple(signed(rng, 1, 12) for _ in range(3)), "variable": name(rng.choice("xyt"), "xyt")}

    def terms(self, coefficients: tuple[int, ...], variable: str) -> list[tuple[int, str]]:
        return list(zip(coefficients, [f"{variable}^2", variable, ""][-len(coefficients) :], strict=True))

    def write(self, coefficients: tuple[int, ...], variable: str) -> Writings:
        terms = self.terms(coefficients, variable)
        return Writings([sum_of(terms), sum_of(terms).replace("^2", "^{2}")], [sum_of(reversed(terms))])

    def value(self, coefficients: tuple[int, ...], variable: str) -> Hashable:
        return (0,) * (3 - len(coefficients)) + coefficients, variable


class Factored(Kind):
    def draw(self, rng: Random) -> Slots:
        return {
            "times": rng.randint(1, 5),
            "roots": (signed(rng, 1, 9), signed(rng, 1, 9)),
            "variable": name("x", "xay"),
        }

    def write(self, times: int, roots: tuple[int, ...], variable: str) -> Writings:
        front = "" if times == 1 else "-" if times == -1 else f"{times}"
        factors = [f"({variable}{-root:+d})" for root in roots]
        texts = [front + "".join(factors), front + "".join(reversed(factors))]
        if len(roots) == 2:
            terms = [(times, f"{variable}^2"), (-times * sum(roots), variable), (times * roots[0] * roots[1], "")]
            return Writings(texts, [sum_of(terms)])
        return Writings(texts)

    def value(self, times: int, roots: tuple[int, ...], variable: str) -> Hashable:
        return times, tuple(sorted(roots)), variable


class Monomial(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"times": signed(rng, 2, 15), "powers": (exponent(rng.randint(2, 5)), exponent(rng.randint(2, 5)))}

    def write(self, times: int, powers: tuple[int, ...]) -> Writings:
        factors = [f"{letter}^{{{power}}}" for letter, power in zip("ab", powers, strict=False)]
        product = " \\cdot ".join(reversed(factors))
        return Writings([f"{times}{''.join(factors)}"], [f"{times}{product}"])


class Rational(Kind):
    def draw(self, rng: Random) -> Slots:
        return {
            "above": rng.randint(1, 12),
            "shift": signed(rng, 1, 9),
            "plus": signed(rng, 1, 9),
            "variable": name("x", "xyt"),
        }

    def write(self, above: int, shift: int, plus: int, variable: str) -> Writings:
        term = f"\\frac{{{above}}}{{{variable}{shift:+d}}}"
        whole = f"\\frac{{{sum_of([(plus, variable), (above + plus * shift, '')])}}}{{{variable}{shift:+d}}}"
        return Writings(
            [f"{term}{plus:+d}"], [f"{plus}{'+' if above > 0 else ''}{term}", whole] if above > 0 else [whole]
        )


class Exponential(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"times": rng.randint(2, 12), "rate": exponent(rng.randint(2, 9)), "variable": name("x", "xt")}

    def write(self, times: int, rate: int, variable: str) -> Writings:
        return Writings([f"{times}e^{{{sum_of([(rate, variable)])}}}"], [f"{times} \\cdot e^{{{rate}{variable}}}"])


class Wave(Kind):
    def draw(self, rng: Random) -> Slots:
        function = Pick(rng.choice(["\\sin", "\\cos"]), ("\\sin", "\\cos"), "operator")
        return {
            "times": rng.randint(2, 9),
            "function": function,
            "rate": rng.randint(2, 6),
            "below": rng.choice([3, 4, 6]),
        }

    def write(self, times: int, function: str, rate: int, below: int) -> Writings:
        shift = f"\\frac{{\\pi}}{{{below}}}"
        return Writings(
            [f"{times}{function}({rate}x+{shift})", f"y={times}{function}\\left({rate}x+{shift}\\right)"],
            [f"{times}{function}({shift}+{rate}x)"],
        )

    def value(self, times: int, function: str, rate: int, below: int) -> Hashable:
        if min(times, rate, below) < 1:
            raise ValueError
        return times, function, rate, below


class Formula(Kind):
    r"""A physics formula such as `\frac{3mv^2}{2r}`."""

    def draw(self, rng: Random) -> Slots:
        above = name(rng.choice("mqk"), "mqk")
        return {
            "times": rng.randint(2, 9),
            "above": above,
            "power": exponent(2),
            "below": name(rng.choice("rRd"), "rRd"),
        }

    def write(self, times: int, above: str, power: int, below: str) -> Writings:
        return Writings(
            [f"\\frac{{{times}{above}v^{{{power}}}}}{{{below}}}", f"\\frac{{{times} {above} v^{power}}}{{{below}}}"][
                : 2 if power > 0 else 1
            ],
            [f"{times}{above}v^{{{power}}}/{below}"],
        )


KINDS = tuple(
    kind()
    for kind in (
        Polynomial, Factored, Monomial, Rational, Exponential, Wave, Formula,
    )
)  # fmt: skip
