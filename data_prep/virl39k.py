"""ViRL39K: visual reasoning of many kinds, a parquet file that names images in an archive beside it."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.question_parquet import question_format
from data_prep.raw_forms.raw_form import DataSet

DATA_SET = DataSet(
    "virl39k",
    "math",
    "ViRL39K: visual reasoning of many kinds.",
    (
        question_format(
            "qid", "category", "train", "a parquet file (question, answer, image, qid) and images.zip, packed or not"
        ),
    ),
    template="boxed",
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep virl39k`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
