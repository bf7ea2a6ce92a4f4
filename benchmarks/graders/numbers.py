"""Golds that are numbers."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from graders.kind import Kind, Pick, Slots, Writings
from graders.latex import decimal, fraction

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def exponent(value: int) -> Pick:
    return Pick(value, (value - 1, value + 1, -value), "exponent")


def point(places: int) -> Pick:
    """The number of decimals, which a mutation may change by one."""
    return Pick(places, (max(places - 1, 0), places + 1), "decimal point")


class Integer(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"n": rng.choice([rng.randint(1, 15), rng.randint(10, 999), -rng.randint(2, 99)])}

    def write(self, n: int) -> Writings:
        words = [WORDS[n]] if 0 <= n < len(WORDS) else []
        return Writings([f"{n}", f"${n}$", f"{n}.0"], [f"\\text{{{n}}}", f"x = {n}", f"**{n}**", *words])


class Decimal(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"digits": rng.choice([1, -1]) * rng.randint(12, 9999), "places": point(rng.randint(1, 3))}

    def write(self, digits: int, places: int) -> Writings:
        text = decimal(digits, places)
        return Writings(
            [text], [f"{text}0", fraction(Fraction(digits, 10**places)), f"\\approx {text}"][: 3 if places else 1]
        )

    def value(self, digits: int, places: int) -> Fraction:
        return Fraction(digits, 10**places)


class Thousands(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"n": rng.randint(1000, 9_999_999)}

    def write(self, n: int) -> Writings:
        text = f"{n:,}"
        return Writings([text, f"{n}", text.replace(",", ",\\!"), text.replace(",", "{,}"), text.replace(",", "\\,")])


class Ratio(Kind):
    """A common fraction."""

    def draw(self, rng: Random) -> Slots:
        return {"above": rng.randint(-40, 40) or 7, "below": rng.randint(2, 30)}

    def write(self, above: int, below: int) -> Writings:
        sign, size = "-" if above < 0 else "", abs(above)
        texts = [f"\\frac{{{size}}}{{{below}}}", f"{size}/{below}", f"\\dfrac{{{size}}}{{{below}}}"]
        if size < 10 and below < 10:
            texts.append(f"\\frac{size}{below}")
        return Writings([sign + text for text in texts], [sign + f"\\frac{{{2 * size}}}{{{2 * below}}}"])

    def value(self, above: int, below: int) -> Fraction:
        if below <= 0:
            raise ValueError
        return Fraction(above, below)


class MixedNumber(Kind):
    def draw(self, rng: Random) -> Slots:
        below = rng.randint(3, 12)
        return {"whole": rng.randint(1, 20), "above": rng.randint(1, below - 1), "below": below}

    def write(self, whole: int, above: int, below: int) -> Writings:
        total = Fraction(whole * below + above, below)
        return Writings([f"{whole}\\frac{{{above}}}{{{below}}}", f"{whole} {above}/{below}"], [fraction(total)])

    def value(self, whole: int, above: int, below: int) -> Fraction:
        if not 0 < above < below or whole < 0:
            raise ValueError
        return whole + Fraction(above, below)


class Percent(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"digits": rng.randint(11, 999), "places": point(rng.randint(0, 1))}

    def write(self, digits: int, places: int) -> Writings:
        text, share = decimal(digits, places), decimal(digits, places + 2)
        return Writings([f"{text}\\%", f"{text}%", f"{text} \\%"], [f"{text} percent", share, text])

    def value(self, digits: int, places: int) -> Fraction:
        return Fraction(digits, 10**places)


class Scientific(Kind):
    def draw(self, rng: Random) -> Slots:
        power = rng.choice([rng.randint(3, 24), -rng.randint(3, 31)])
        return {"digits": rng.randint(11, 99), "power": exponent(power)}

    def write(self, digits: int, power: int) -> Writings:
        text = decimal(digits, 1)
        return Writings(
            [f"{text} \\times 10^{{{power}}}", f"{text}\\cdot 10^{{{power}}}", f"{text}e{power}"],
            [f"{text}×10^{{{power}}}", f"{text} × 10{str(power).translate(SUPERSCRIPTS)}", f"{text}E{power}"],
        )

    def value(self, digits: int, power: int) -> Fraction:
        return Fraction(digits, 10) * Fraction(10) ** power


class TinyDecimal(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"digits": rng.randint(1, 99), "places": point(rng.randint(7, 12))}

    def write(self, digits: int, places: int) -> Writings:
        return Writings([decimal(digits, places)], [f"{digits} \\times 10^{{-{places}}}"])

    def value(self, digits: int, places: int) -> Fraction:
        return Fraction(digits, 10**places)


class TinyPower(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"above": rng.randint(1, 9), "root": rng.randint(2, 5), "power": exponent(rng.randint(25, 95))}

    def write(self, above: int, root: int, power: int) -> Writings:
        minus = f"({root})" if root < 0 else f"{root}"
        return Writings([f"\\frac{{{above}}}{{{minus}^{{{power}}}}}"], [f"{above} \\cdot {minus}^{{-{power}}}"])

    def value(self, above: int, root: int, power: int) -> Fraction:
        if power < 0 or abs(root) < 2:
            raise ValueError
        return Fraction(above) / Fraction(root) ** power


class HugePower(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"root": rng.randint(2, 12), "power": exponent(rng.randint(11, 60)), "plus": rng.randint(1, 9)}

    def write(self, root: int, power: int, plus: int) -> Writings:
        return Writings([f"{root}^{{{power}}}{plus:+d}"], [f"{plus}+{root}^{{{power}}}"] if root > 0 else [])

    def value(self, root: int, power: int, plus: int) -> Fraction:
        if root < 2:
            raise ValueError  # -2^{10} would be read as -(2^{10})
        return Fraction(root) ** power + plus


class InBase(Kind):
    def draw(self, rng: Random) -> Slots:
        base = rng.randint(2, 9)
        digits = rng.randint(1, base - 1) * 1000 + sum(rng.randint(0, base - 1) * 10**i for i in range(3))
        return {"digits": digits, "base": Pick(base, tuple(range(2, 17)), "base")}

    def write(self, digits: int, base: int) -> Writings:
        return Writings(
            [f"{digits}_{{{base}}}"] + ([f"{digits}_{base}"] if base < 10 else []), [f"{digits}_{{({base})}}"]
        )

    def value(self, digits: int, base: int) -> int:
        return int(str(digits), base)


class Repeating(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"digits": rng.choice([1, 2, 4, 5, 7, 8, *(n for n in range(12, 99) if n % 11)])}

    def write(self, digits: int) -> Writings:
        return Writings([f"0.\\overline{{{digits}}}"], [fraction(self.value(digits))])

    def value(self, digits: int) -> Fraction:
        if digits < 1:
            raise ValueError
        return Fraction(digits, 10 ** len(str(digits)) - 1)


KINDS = tuple(
    kind()
    for kind in (
        Integer, Decimal, Thousands, Ratio, MixedNumber, Percent, Scientific, TinyDecimal, TinyPower, HugePower,
        InBase, Repeating,
    )
)  # fmt: skip
