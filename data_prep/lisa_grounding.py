"""LISA-Grounding: expressions that need reasoning to find their object; for evaluation, as VLM-R1 does."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.raw_form import DataSet
from data_prep.raw_forms.vlm_r1 import vlm_r1_format

DATA_SET = DataSet(
    "lisa-grounding",
    "grounding",
    "LISA-Grounding: expressions that need reasoning to find their object; for evaluation.",
    (vlm_r1_format("lisa"),),
    template="r1",
    published={"vlm-r1": {"test": 1_658}},
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep lisa-grounding`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
