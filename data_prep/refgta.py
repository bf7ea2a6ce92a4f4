"""RefGTA: referring expressions for people in pictures of a computer game; for evaluation."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.raw_form import DataSet
from data_prep.raw_forms.refer import refer_format

DATA_SET = DataSet(
    "refgta",
    "grounding",
    "RefGTA: referring expressions for people in pictures of a computer game; for evaluation.",
    (refer_format("refgta"),),
    template="r1",
    splits_by=("utokyo",),
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep refgta`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
