"""Types of the commands' arguments, which refuse what is no sensible size in one line."""

from __future__ import annotations

import argparse
import math

BYTES_OF_A_GIB = 2**30


def count(text: str) -> int:
    """Read a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number >= 1")
    return number


def gibibytes(text: str) -> float:
    """Read a size in GiB, a finite number above 0.

    Raises:
        argparse.ArgumentTypeError: the text is none.
    """
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not (size > 0 and math.isfinite(size * BYTES_OF_A_GIB)):
        raise argparse.ArgumentTypeError(f"got {text}, expected GiB, a finite number > 0")
    return size
