"""MMK12: school mathematics and science; free answers to train on, multiple choice in four subjects to test."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.question_parquet import question_format
from data_prep.raw_forms.raw_form import DataSet

DATA_SET = DataSet(
    "mmk12",
    "math",
    "MMK12: school mathematics and science; free answers to train on, multiple choice to test.",
    (question_format("id", "subject", "", "parquet files of the Hub: id, question, answer, subject, image"),),
    template="boxed",
    published={"parquet": {"train": 15_616, "test": 2_000}},
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep mmk12`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
