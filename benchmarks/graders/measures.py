"""Golds that are a number with something beside it: degrees, units, money, ratios, times of day."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from random import Random

from graders.kind import Kind, Pick, Slots, Writings
from graders.latex import decimal
from graders.numbers import point

# Each unit as its symbol, then other names of it.
UNITS = {
    "cm": ("centimeters", "厘米"),
    "m": ("meters", "米"),
    "mm": ("millimeters", "毫米"),
    "km": ("kilometers", "千米"),
    "in": ("inches", "in."),
    "ft": ("feet",),
    "kg": ("kilograms", "千克"),
    "g": ("grams", "克"),
    "min": ("minutes", "分钟"),
    "h": ("hours", "小时"),
    "s": ("seconds", "秒"),
    "cm^2": ("square centimeters", "平方厘米"),
    "m^2": ("square meters", "平方米"),
    "cm^3": ("cubic centimeters", "立方厘米"),
    "L": ("liters", "升"),
}
COMPOUND_UNITS = ("km/h", "m/s", "g/cm^3", "kg/m^3", "m/s^2", "mol/L", "J/kg", "N/m", "mg/L")
CHINESE_UNITS = ("元", "人", "个", "度", "海里", "千米/时", "天", "岁")


class Degrees(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"digits": rng.randint(5, 359), "places": point(rng.choice([0, 0, 1]))}

    def write(self, digits: int, places: int) -> Writings:
        text = decimal(digits, places)
        return Writings(
            [f"{text}^\\circ", f"{text}^{{\\circ}}", f"{text}°"],
            [f"{text} degrees", f"{text}{{}}^\\circ", f"{text}\\textdegree", f"\\angle ABC = {text}^\\circ", text],
        )

    def value(self, digits: int, places: int) -> Fraction:
        return Fraction(digits, 10**places)


class DegreesAndMinutes(Kind):
    def draw(self, rng: Random) -> Slots:
        return {"degrees": rng.randint(5, 170), "minutes": rng.choice([6, 12, 15, 18, 24, 30, 36, 45, 48, 54])}

    def write(self, degrees: int, minutes: int) -> Writings:
        hundredths = f"{degrees + minutes / 60:.2f}".rstrip("0")
        return Writings(
            [f"{degrees}^\\circ {minutes}'", f"{degrees}°{minutes}′"],
            [f"{degrees}^{{\\circ}}{minutes}^{{\\prime}}", f"{hundredths}^\\circ"],
        )

    def value(self, degrees: int, minutes: int) -> Fraction:
        if not 0 < minutes < 60 or degrees < 0 or minutes % 3:
            raise ValueError
        return degrees + Fraction(minutes, 60)


class Quantity(Kind):
    def draw(self, rng: Random) -> Slots:
        unit = rng.choice(list(UNITS))
        return {
            "digits": rng.randint(2, 400),
            "places": point(rng.choice([0, 0, 1])),
            "unit": Pick(unit, tuple(UNITS), "unit"),
        }

    def write(self, digits: int, places: int, unit: str) -> Writings:
        text = decimal(digits, places)
        return Writings(
            [f"{text} \\text{{ {unit}}}", f"{text} {unit}", f"{text}\\mathrm{{~{unit}}}"],
            [text, f"{text} {{\\rm {unit}}}", *(f"{text} \\text{{ {name}}}" for name in UNITS[unit])],
        )

    def value(self, digits: int, places: int, unit: str) -> Hashable:
        return Fraction(digits, 10**places), unit


class RootQuantity(Kind):
    def draw(self, rng: Random) -> Slots:
        unit = rng.choice(list(UNITS))
        return {
            "times": rng.randint(2, 30),
            "radicand": rng.choice([2, 3, 5, 7]),
            "unit": Pick(unit, tuple(UNITS), "unit"),
        }

    def write(self, times: int, radicand: int, unit: str) -> Writings:
        root = f"{times}\\sqrt{{{radicand}}}"
        return Writings([f"{root} \\text{{ {unit}}}", f"{root}\\mathrm{{~{unit}}}"], [root, f"{root} {unit}"])

    def value(self, times: int, radicand: int, unit: str) -> Hashable:
        if radicand < 2:
            raise ValueError
        return times * abs(times) * radicand, unit


class CompoundQuantity(Kind):
    def draw(self, rng: Random) -> Slots:
        unit = Pick(rng.choice(COMPOUND_UNITS), COMPOUND_UNITS, "unit")
        return {"digits": rng.randint(2, 900), "places": point(rng.choice([0, 1])), "unit": unit}

    def write(self, digits: int, places: int, unit: str) -> Writings:
        text = decimal(digits, places)
        return Writings([f"{text} \\text{{ {unit}}}", f"{text} {unit}", f"{text}\\,\\mathrm{{{unit}}}"], [text])

    def value(self, digits: int, places: int, unit: str) -> Hashable:
        return Fraction(digits, 10**places), unit


class ChineseQuantity(Kind):
    def draw(self, rng: Random) -> Slots:
        unit = Pick(rng.choice(CHINESE_UNITS), CHINESE_UNITS, "unit")
        return {"digits": rng.randint(2, 900), "places": point(rng.choice([0, 1])), "unit": unit}

    def write(self, digits: int, places: int, unit: str) -> Writings:
        text = decimal(digits, places)
        return Writings([f"{text}{unit}", f"{text}\\text{{{unit}}}", f"{text} {unit}"], [text])

    def value(self, digits: int, places: int, unit: str) -> Hashable:
        return Fraction(digits, 10**places), unit


class Money(Kind):
    def draw(self, rng: Random) -> Slots:
        signs = ("\\$", "€", "£", "¥")
        return {
            "digits": rng.randint(100, 99_999),
            "places": Pick(2, (1, 3), "decimal point"),
            "sign": Pick("\\$", signs, "unit"),
        }

    def write(self, digits: int, places: int, sign: str) -> Writings:
        text = decimal(digits, places)
        names = {"\\$": "dollars", "€": "euros", "£": "pounds", "¥": "yuan"}
        return Writings([f"{sign}{text}", f"{sign} {text}"], [f"{text} {names[sign]}", text])

    def value(self, digits: int, places: int, sign: str) -> Hashable:
        return Fraction(digits, 10**places), sign


class Proportion(Kind):
    """A ratio such as 3:4."""

    def draw(self, rng: Random) -> Slots:
        return {"parts": tuple(rng.randint(1, 20) for _ in range(rng.choice([2, 2, 3])))}

    def write(self, parts: tuple[int, ...]) -> Writings:
        return Writings([":".join(map(str, parts)), " : ".join(map(str, parts))], ["∶".join(map(str, parts))])

    def value(self, parts: tuple[int, ...]) -> Hashable:
        if min(parts) <= 0:
            raise ValueError
        return tuple(Fraction(part, parts[0]) for part in parts)


class TimeOfDay(Kind):
    def draw(self, rng: Random) -> Slots:
        half = Pick(rng.choice(["a.m.", "p.m."]), ("a.m.", "p.m."), "unit")
        return {"hour": rng.randint(1, 12), "minute": rng.randint(0, 59), "half": half}

    def write(self, hour: int, minute: int, half: str) -> Writings:
        time = f"{hour}:{minute:02d}"
        plain = half.replace(".", "")
        return Writings([f"{time} \\text{{ {half}}}", f"{time} {half}"], [f"{time} {plain.upper()}", f"{time}{plain}"])

    def value(self, hour: int, minute: int, half: str) -> Hashable:
        if not (1 <= hour <= 12 and 0 <= minute < 60):
            raise ValueError
        return hour, minute, half


KINDS = tuple(
    kind()
    for kind in (
        Degrees, DegreesAndMinutes, Quantity, RootQuantity, CompoundQuantity, ChineseQuantity, Money,
        Proportion, TimeOfDay,
    )
)  # fmt: skip
