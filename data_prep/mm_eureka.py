"""MM-Eureka-Dataset: school mathematics and science with pictures, from its first version or its variant for Qwen."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.mm_eureka import QWEN, V1
from data_prep.raw_forms.raw_form import DataSet

DATA_SET = DataSet(
    "mm-eureka",
    "math",
    "MM-Eureka-Dataset: school mathematics and science with pictures.\n"
    "Rows with its blank picture have nothing to look at and are rejected as text_only.",
    (V1, QWEN),
    template="boxed",
    published={"v1": {"train": 54_931}},
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep mm-eureka`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
