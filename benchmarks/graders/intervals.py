"""Golds that are intervals, inequalities and sets of numbers that satisfy one."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

from graders.groups import distinct
from graders.kind import Kind, Pick, Slots, Writings

FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
RELATIONS = tuple(FLIPPED)
TO_BRACKET = {"<": "()", "\\le": "[]"}


def left(rng: Random) -> Pick:
    return Pick(rng.choice("(["), ("(", "["), "bracket")


def right(rng: Random) -> Pick:
    return Pick(rng.choice(")]"), (")", "]"), "bracket")


class Interval(Kind):
    def draw(self, rng: Random) -> Slots:
        low, high = sorted(distinct(rng, 2))
        return {"opens": left(rng), "low": low, "high": high, "closes": right(rng)}

    def write(self, opens: str, low: int, high: int, closes: str) -> Writings:
        below, above = "<" if opens == "(" else "\\le ", "<" if closes == ")" else "\\le "
        return Writings(
            [f"{opens}{low},{high}{closes}", f"\\left{opens}{low}, {high}\\right{closes}"],
            [f"{low}{below}x{above}{high}", f"x \\in {opens}{low},{high}{closes}"],
        )

    def value(self, opens: str, low: int, high: int, closes: str) -> Hashable:
        if low >= high:
            raise ValueError
        return opens, low, high, closes


class Inequality(Kind):
    def draw(self, rng: Random) -> Slots:
        return {
            "variable": Pick(rng.choice("xma"), tuple("xma"), "name"),
            "relation": Pick(rng.choice(RELATIONS), RELATIONS, "relation"),
            "bound": distinct(rng, 1)[0],
        }

    def write(self, variable: str, relation: str, bound: int) -> Writings:
        ends = {
            "<": f"(-\\infty,{bound})", ">": f"({bound},\\infty)", "\\le": f"(-\\infty,{bound}]",
            "\\ge": f"[{bound},+\\infty)",
        }  # fmt: skip
        return Writings(
            [f"{variable} {relation} {bound}", f"{variable}{relation} {bound}"],
            [f"{bound} {FLIPPED[relation]} {variable}", ends[relation]],
        )


class Ray(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"opens": left(rng), "low": distinct(rng, 1)[0]}

    def write(self, opens: str, low: int) -> Writings:
        relation = ">" if opens == "(" else "\\ge "
        return Writings([f"{opens}{low},+\\infty)", f"{opens}{low}, \\infty)"], [f"x{relation}{low}"])


class DoubleInequality(Kind):
    def draw(self, rng: Random) -> Slots:
        low, high = sorted(distinct(rng, 2))
        first, second = (Pick(rng.choice(tuple(TO_BRACKET)), tuple(TO_BRACKET), "relation") for _ in range(2))
        return {"low": low, "first": first, "second": second, "high": high}

    def write(self, low: int, first: str, second: str, high: int) -> Writings:
        interval = f"{TO_BRACKET[first][0]}{low},{high}{TO_BRACKET[second][1]}"
        backwards = f"{high} {FLIPPED[second]} x {FLIPPED[first]} {low}"
        return Writings([f"{low} {first} x {second} {high}", f"{low}{first} x{second} {high}"], [interval, backwards])

    def value(self, low: int, first: str, second: str, high: int) -> Hashable:
        if low >= high:
            raise ValueError
        return low, first, second, high


class Union(Kind):
    def draw(self, rng: Random) -> Slots:
        low, high = sorted(distinct(rng, 2))
        return {"low": low, "closes": right(rng), "opens": left(rng), "high": high}

    def write(self, low: int, closes: str, opens: str, high: int) -> Writings:
        below, above = "<" if closes == ")" else "\\le ", ">" if opens == "(" else "\\ge "
        first, second = f"(-\\infty,{low}{closes}", f"{opens}{high},+\\infty)"
        return Writings(
            [f"{first} \\cup {second}", f"{first}\\cup{second}"],
            [f"{second} \\cup {first}", f"x{below}{low} \\text{{ or }} x{above}{high}"],
        )

    def value(self, low: int, closes: str, opens: str, high: int) -> Hashable:
        if low >= high:
            raise ValueError
        return low, closes, opens, high


class SetBuilder(Kind):
    def draw(self, rng: Random) -> Slots:
        low, high = sorted(distinct(rng, 2))
        second = Pick(rng.choice(tuple(TO_BRACKET)), tuple(TO_BRACKET), "relation")
        return {"low": low, "second": second, "high": high}

    def write(self, low: int, second: str, high: int) -> Writings:
        return Writings(
            [f"\\{{x|{low}<x{second} {high}\\}}", f"\\left\\{{x \\mid {low} < x {second} {high}\\right\\}}"],
            [f"({low},{high}{TO_BRACKET[second][1]}", f"{low}<x{second} {high}"],
        )

    def value(self, low: int, second: str, high: int) -> Hashable:
        if low >= high:
            raise ValueError
        return low, second, high


KINDS = tuple(
    kind()
    for kind in (
        Interval, Inequality, Ray, DoubleInequality, Union, SetBuilder,
    )
)  # fmt: skip
