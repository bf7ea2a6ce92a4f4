"""Geometry3K: geometry problems with diagrams, from InterGPS's folders or from the Hub."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.geometry3k_hub import HUB
from data_prep.raw_forms.geometry3k_intergps import INTERGPS
from data_prep.raw_forms.raw_form import DataSet

_PUBLISHED = {"train": 2_101, "val": 300, "test": 601}

DATA_SET = DataSet(
    "geometry3k",
    "math",
    "Geometry3K: geometry problems with diagrams. The answer is the value of the right choice, not its letter.",
    (INTERGPS, HUB),
    template="boxed",
    published={"intergps": _PUBLISHED, "hub": _PUBLISHED},
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep geometry3k`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
