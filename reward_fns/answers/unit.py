r"""Units: one table of names, and a reader of powers and compounds (`km/h`, `kg·m/s^2`, `square centimeters`).

A unit is read into its canonical text: factors with powers in alphabetical order, `kg*m*s^-2`. Two units are the same
if these texts are; nothing is converted, so 100 cm is not 1 m. Nouns that no table has (`apples`) are units, too, if
they are a plural and no number word, comparison or operation.
"""

import re

_PREFIXES = {
    "": "", "k": "k", "M": "M", "G": "G", "c": "c", "m": "m", "d": "d", "n": "n", "p": "p", r"\mu": "u", "u": "u",
    "h": "h",
}  # fmt: skip
_METRIC = ("m", "g", "s", "L", "N", "J", "W", "V", "A", "Hz", "Pa", "eV", "mol", "F", "C", "T", "cal", "Wh", "bar", "B")
_LONG_PREFIXES = {"": "", "kilo": "k", "mega": "M", "giga": "G", "centi": "c", "milli": "m", "deci": "d", "nano": "n",
                  "micro": "u", "hecto": "h"}  # fmt: skip
_LONG = {
    "meter": "m", "metre": "m", "gram": "g", "second": "s", "liter": "L", "litre": "L", "newton": "N", "joule": "J",
    "watt": "W", "volt": "V", "ampere": "A", "amp": "A", "hertz": "Hz", "pascal": "Pa", "electronvolt": "eV",
    "mole": "mol", "farad": "F", "coulomb": "C", "tesla": "T", "calorie": "cal", "ohm": "ohm", "byte": "B",
}  # fmt: skip
_OTHERS = {
    "%": "% percent percentage pct percents",
    "deg": "^\\circ deg degree degrees 度",
    "degC": "^\\circ*C 摄氏度",
    "degF": "^\\circ*F",
    "arcmin": "' arcmin arcminute arcminutes",
    "rad": "rad radian radians 弧度",
    "K": "K kelvin kelvins",
    "ohm": "\\Omega ohm ohms 欧姆",
    "kohm": "k\\Omega",
    "min": "min mins minute minutes 分钟 分",
    "h": "h hr hrs hour hours 小时 时",
    "s": "sec secs 秒",
    "day": "day days 天 日",
    "week": "week weeks wk 周",
    "month": "month months 个月 月",
    "year": "year years yr yrs 年 岁",
    "in": "in inch inches ''",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles 英里",
    "nmi": "nmi 海里",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "gal": "gal gallon gallons",
    "t": "ton tons tonne tonnes 吨",
    "ha": "ha hectare hectares 公顷",
    "acre": "acre acres",
    "$": "\\$ dollar dollars USD usd US\\$ 美元",
    "euro": "\\euro euro euros EUR",
    "gbp": "\\pound GBP",
    "yuan": "\\yuan yuan RMB CNY 元 块",
    "cent": "cent cents ¢",
    "rs": "Rs rupee rupees",
    "rpm": "rpm",
    "atm": "atm",
    "dB": "dB",
    "mmHg": "mmHg",
    "mi*h^-1": "mph",
    "km*h^-1": "kmh kph km/hr",
    "L": "l 升",
    "mL": "ml 毫升 cc",
    "m": "米 公尺 mtr",
    "cm": "厘米 公分",
    "dm": "分米",
    "mm": "毫米",
    "km": "千米 公里",
    "g": "克 gm gms",
    "kg": "千克 公斤 kgs",
    "N": "牛 牛顿",
    "J": "焦耳",
    "W": "瓦",
    "V": "伏",
    "A": "安",
    "": "unit units 单位",
    "人": "人 名",
    "个": "个",
}  # fmt: skip
LONG_NAMES = {  # of units that look like variables
    "m": "meter", "g": "gram", "s": "second", "h": "hour", "t": "ton", "L": "liter", "N": "newton", "W": "watt",
    "V": "volt", "mg": "milligram", "ms": "millisecond",
}  # fmt: skip
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3, "平方": 2, "立方": 3}


def _table() -> dict[str, str]:
    names = {}
    for prefix, short in _PREFIXES.items():
        names |= {f"{prefix}{unit}": f"{short}{unit}" for unit in _METRIC}
    for prefix, short in _LONG_PREFIXES.items():
        for word, unit in _LONG.items():
            names |= {f"{prefix}{word}": short + unit, f"{prefix}{word}s": short + unit}
    for unit, words in _OTHERS.items():
        names |= dict.fromkeys(words.split(), unit)
    return names


_NAMES = _table()
_FACTOR = re.compile(r"(\\?[^\d^*/ {}()]+|\^\\circ(?:\*[CF])?)(?:\^\{?(-?\d)\}?|(\d))?")
_ABBREVIATION = re.compile(r"(?<=[a-z])\.")  # sq. ft.
_APART = re.compile(r"(?<=\b[cdk]) +(?=[mg]\b)")  # MathType's \text{c}{{\text{m}}^{2}}
_NO_NOUNS = re.compile(  # plural in form only, or a part of a number
    r"plus|minus|times|less|is|was|has|does|this|yes|unless|besides|perhaps|always|across|versus|its|thus|modulus|"
    r"halves|thirds|quarters|hundreds|thousands|lakhs|crores|myriads|googols|\w+illions|dozens|scores|pairs|others|"
    r"ones|twos|threes|fours|fives|sixes|sevens|eights|nines|tens|elevens|twelves|\w+teens|"
    r"twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties|"
    r"doubles|triples|quadruples|factorials|logs|logarithms|exponentials|sines|cosines|tangents|pluses|minuses|"
    r"negatives|negations|inverses|reciprocals|opposites|complements|conjugates|\w+ths|\w*ss",
    re.IGNORECASE,
)
_NOUN = re.compile(r"(?:(?:different|possible|distinct|unique) )?([a-z]{3,20}s)", re.IGNORECASE)
_OTHER_PLURALS = {"people", "children", "men", "women"}


def read_unit(text: str) -> str | None:
    """Return the canonical text of a unit; None if the text is no unit. A unit without a name, `units`, is ``""``."""
    text = _APART.sub("", _ABBREVIATION.sub(" ", text)).strip()
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1].strip()
    if not text or len(text) > 60:
        return None
    factors = _factors(text)
    if factors is None:
        return _noun(text)
    powers: dict[str, int] = {}
    for name, power in factors:
        powers[name] = powers.get(name, 0) + power
    if not all(power for _, power in factors):
        return None
    units = sorted((name, power) for name, power in powers.items() if name and power)
    return "*".join(name if power == 1 else f"{name}^{power}" for name, power in units)


def _factors(text: str) -> list[tuple[str, int]] | None:
    """Return (name, power) of each factor of `kg \\cdot m/s^{2}`; None if a factor is not in the table."""
    text = text.replace(r"\cdot", "*").replace(r"\times", "*").replace("每", "/").replace(r"\mu ", r"\mu")
    text = re.sub(r"\bper\b", "/", text)
    text = re.sub(r"/\s*\(([^()]*)\)", lambda match: "/" + match[1], text)  # of J/(kg*K), the sign holds to the end
    text = re.sub(r"\^\s*\\circ\s*([CF])\b", r"^\\circ*\1", text)
    text = re.sub(r"\s*\^\s*(?=\{?-?\d)", "^", text)
    text = re.sub(r"\s*([*/])\s*", r"\1", text) if not text.startswith(r"^\circ*") else text
    if text in _NAMES:
        return _split(_NAMES[text], 1)
    factors: list[tuple[str, int]] = []
    sign, ahead = 1, 1
    for token in re.findall(r"\^\\circ(?:\*[CF])?|[*/]|[^*/\s]+", text):
        if token in "*/":
            sign = -1 if token == "/" else sign
            continue
        if token.lower() in _POWERS:
            power = _POWERS[token.lower()]
            if token.lower() in ("squared", "cubed"):
                if not factors:
                    return None
                factors[-1] = (factors[-1][0], factors[-1][1] * power)
            else:
                ahead = power
            continue
        factor = _factor(token)
        if factor is None:
            return None
        factors += [(name, power * sign * ahead) for name, power in factor]
        ahead = 1
    return factors if factors and ahead == 1 else None


def _factor(token: str) -> list[tuple[str, int]] | None:
    """Return the factors of `cm^{2}`, `mph` or `平方厘米`."""
    match = _FACTOR.fullmatch(token)
    if not match:
        return None
    name, power = match[1], int(match[2] or match[3] or 1)
    for chinese in ("平方", "立方"):
        if name.startswith(chinese):
            name, power = name.removeprefix(chinese), _POWERS[chinese]
    unit = _NAMES.get(name)
    if unit is None and len(name) > 2:
        unit = _NAMES.get(name.lower())
    return None if unit is None else _split(unit, power)


def _split(unit: str, power: int) -> list[tuple[str, int]]:
    parts = [part.partition("^") for part in unit.split("*")]
    return [(name, int(own or 1) * power) for name, _, own in parts]


def _noun(text: str) -> str | None:
    match = _NOUN.fullmatch(text)
    if match and not _NO_NOUNS.fullmatch(match[1]):
        return match[1].lower().removesuffix("s")
    return text.lower() if text.lower() in _OTHER_PLURALS else None
