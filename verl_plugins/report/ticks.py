"""Round numbers along an axis."""

from __future__ import annotations

import math


def ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten in [low, high], as many as fit but at most ``most``.

    Args:
        low, high: range of the axis, low < high.
        most: largest number of ticks, at least 2.
        whole: whether ticks are whole numbers.
    """
    exponent = math.floor(math.log10((high - low) / most))
    for step in (factor * 10.0**power for power in (exponent, exponent + 1, exponent + 2) for factor in (1, 2, 5)):
        if whole and step < 1:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    return []
