"""Golds that are choices, words, orders, or statements about a figure."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

from graders.kind import Kind, Pick, Slots, Writings

CIRCLED = "①②③④⑤⑥"
WORDS = (
    "isosceles", "equilateral", "right triangle", "rhombus", "square", "rectangle", "yes", "no", "increasing",
    "decreasing", "ellipse", "parabola", "acute", "obtuse", "Evelyn", "Saturday", "north", "south", "hydrogen", "red",
)  # fmt: skip
CHINESE_WORDS = (
    "等腰三角形",
    "直角三角形",
    "平行四边形",
    "菱形",
    "正方形",
    "增大",
    "减小",
    "左",
    "右",
    "偶函数",
    "奇函数",
)
IONS = ("Na^+", "K^+", "Cl^-", "Ca^{2+}", "Mg^{2+}", "SO_4^{2-}", "CO_3^{2-}", "OH^-", "NH_4^+", "Fe^{3+}", "Fe^{2+}")
FORMULAS = ("H_2O", "CO_2", "CO", "H_2SO_4", "H_2SO_3", "NaOH", "CaCO_3", "NaCl", "KCl", "CH_4", "C_2H_6")


def letters(rng: Random, count: int, options: str) -> tuple[Pick, ...]:
    return tuple(Pick(letter, tuple(options), "letter") for letter in rng.sample(options, count))


class Letter(Kind):
    """A choice whose texts the row does not have."""

    def draw(self, rng: Random) -> Slots:
        return {"letter": letters(rng, 1, "ABCDE")[0]}

    def write(self, letter: str) -> Writings:
        return Writings(
            [letter, f"({letter})", f"\\text{{{letter}}}", f"{letter}."], [f"Option {letter}", f"**{letter}**"]
        )


class LetterOfChoices(Kind):
    """A choice whose texts the row has."""

    def draw(self, rng: Random) -> Slots:
        return {"letter": letters(rng, 1, "ABCD")[0], "start": rng.randint(2, 80), "step": rng.randint(1, 12)}

    def choices(self, letter: str, start: int, step: int) -> tuple[str, ...]:
        return tuple(f"{start + i * step}" for i in range(4))

    def write(self, letter: str, start: int, step: int) -> Writings:
        text = self.choices(letter, start, step)["ABCD".index(letter)]
        return Writings([letter], [f"({letter})", f"{letter}. {text}", f"({letter}) {text}", text])

    def value(self, letter: str, start: int, step: int) -> Hashable:
        return letter


class OrderOfChoices(Kind):
    """A choice between orders; the row has their texts."""

    def draw(self, rng: Random) -> Slots:
        count = rng.randint(4, 6)
        orders = set()
        while len(orders) < 4:
            orders.add("-".join(map(str, rng.sample(range(1, count + 1), count))))
        orders = tuple(sorted(orders))
        return {"text": Pick(rng.choice(orders), orders, "choice"), "orders": Pick(orders, (orders, ()), "choices")}

    def choices(self, text: str, orders: tuple[str, ...]) -> tuple[str, ...]:
        return orders

    def write(self, text: str, orders: tuple[str, ...]) -> Writings:
        letter = "ABCD"[orders.index(text)] if orders else "E"
        return Writings([letter], [text, f"{letter}. {text}"])

    def value(self, text: str, orders: tuple[str, ...]) -> Hashable:
        return text


class Letters(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"letters": letters(rng, rng.choice([2, 2, 3]), "ABCDE")}

    def write(self, letters: tuple[str, ...]) -> Writings:
        return Writings(
            [", ".join(letters), ",".join(letters)],
            ["、".join(letters), " and ".join(letters), ", ".join(reversed(letters))],
        )

    def value(self, letters: tuple[str, ...]) -> Hashable:
        if len(set(letters)) < len(letters):
            raise ValueError
        return frozenset(letters)


class Circled(Kind):
    """The numbers of the statements that are true."""

    def draw(self, rng: Random) -> Slots:
        chosen = sorted(rng.sample(CIRCLED, rng.randint(2, 4)))
        return {"marks": tuple(Pick(mark, tuple(CIRCLED), "letter") for mark in chosen)}

    def write(self, marks: tuple[str, ...]) -> Writings:
        return Writings(["".join(marks), "、".join(marks)], [", ".join(marks)])

    def value(self, marks: tuple[str, ...]) -> Hashable:
        if len(set(marks)) < len(marks):
            raise ValueError
        return frozenset(marks)


class Words(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"word": Pick(rng.choice(WORDS), WORDS, "word")}

    def write(self, word: str) -> Writings:
        return Writings([word, f"\\text{{{word}}}"], [word.capitalize(), f"{word}.", f"**{word}**"])


class ChineseWords(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"word": Pick(rng.choice(CHINESE_WORDS), CHINESE_WORDS, "word")}

    def write(self, word: str) -> Writings:
        return Writings([word, f"\\text{{{word}}}"], [f"{word}。"])


class NoSolution(Kind):
    def draw(self, rng: Random) -> Slots:
        pair = ("\\emptyset", "\\mathbb{R}")
        return {"answer": Pick(rng.choice(pair), pair, "word")}

    def write(self, answer: str) -> Writings:
        if answer == "\\emptyset":
            return Writings(["\\emptyset", "\\varnothing"], ["\\{\\}", "\\text{None}"])
        return Writings(["\\mathbb{R}", "(-\\infty,\\infty)"], ["\\text{all real numbers}", "(-\\infty,+\\infty)", "R"])


class Chemistry(Kind):
    def draw(self, rng: Random) -> Slots:
        options = rng.choice([IONS, FORMULAS])
        return {"formula": Pick(rng.choice(options), options, "name")}

    def write(self, formula: str) -> Writings:
        return Writings([formula, f"\\mathrm{{{formula}}}"], [f"{formula}.", f"\\ce{{{formula}}}"][:1])


class Parallel(Kind):
    def draw(self, rng: Random) -> Slots:
        relation = Pick(rng.choice(["\\parallel", "\\perp"]), ("\\parallel", "\\perp"), "relation")
        return {"points": letters(rng, 4, "ABCDEFGH"), "relation": relation}

    def write(self, points: tuple[str, ...], relation: str) -> Writings:
        first, second = "".join(points[:2]), "".join(points[2:])
        return Writings(
            [f"{first} {relation} {second}", f"{first}{relation} {second}"], [f"${first} {relation} {second}$"]
        )

    def value(self, points: tuple[str, ...], relation: str) -> Hashable:
        if len(set(points)) < 4:
            raise ValueError
        return frozenset((frozenset(points[:2]), frozenset(points[2:]))), relation


class Congruent(Kind):
    def draw(self, rng: Random) -> Slots:
        relation = Pick(rng.choice(["\\cong", "\\sim"]), ("\\cong", "\\sim"), "relation")
        return {"points": letters(rng, 6, "ABCDEFGH"), "relation": relation}

    def write(self, points: tuple[str, ...], relation: str) -> Writings:
        first, second = "".join(points[:3]), "".join(points[3:])
        return Writings(
            [f"\\triangle {first} {relation} \\triangle {second}"],
            [f"\\triangle {first}{relation}\\triangle {second}", f"△{first} {relation} △{second}"],
        )

    def value(self, points: tuple[str, ...], relation: str) -> Hashable:
        if len(set(points)) < 6:
            raise ValueError
        return frozenset(zip(points[:3], points[3:], strict=True)), relation


class Angle(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"points": letters(rng, 3, "ABCDEFGH")}

    def write(self, points: tuple[str, ...]) -> Writings:
        text = "".join(points)
        return Writings([f"\\angle {text}", f"∠{text}"], [f"$\\angle {text}$"])

    def value(self, points: tuple[str, ...]) -> Hashable:
        if len(set(points)) < 3:
            raise ValueError
        return points[1], frozenset(points)


class Segment(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"points": letters(rng, 2, "ABCDEFGH")}

    def write(self, points: tuple[str, ...]) -> Writings:
        text = "".join(points)
        return Writings([text], [f"${text}$", f"\\text{{{text}}}"])

    def value(self, points: tuple[str, ...]) -> Hashable:
        if len(set(points)) < 2:
            raise ValueError
        return frozenset(points)


class Vertices(Kind):
    """Points in order, such as a quadrilateral."""

    def draw(self, rng: Random) -> Slots:
        return {"points": letters(rng, 4, "KLMNPQRS")}

    def write(self, points: tuple[str, ...]) -> Writings:
        return Writings(
            [" \\to ".join(points), "\\rightarrow ".join(points)], [" \\rightarrow ".join(points), "→".join(points)]
        )


KINDS = tuple(
    kind()
    for kind in (
        Letter, LetterOfChoices, OrderOfChoices, Letters, Circled, Words, ChineseWords, NoSolution, Chemistry,
        Parallel, Congruent, Angle, Segment, Vertices,
    )
)  # fmt: skip
