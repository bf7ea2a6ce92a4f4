"""RefCOCOg: longer referring expressions, in any of its distributions."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.raw_form import DataSet
from data_prep.raw_forms.refcoco_hub import HUB_IDS, HUB_IMAGES
from data_prep.raw_forms.refer import refer_format
from data_prep.raw_forms.vlm_r1 import vlm_r1_format

DATA_SET = DataSet(
    "refcocog",
    "grounding",
    "RefCOCOg: longer referring expressions for objects in COCO photographs.\n"
    "The google splits have images in train and val alike; the umd splits do not.",
    (refer_format("refcocog"), vlm_r1_format("refcocog"), HUB_IMAGES, HUB_IDS),
    template="r1",
    splits_by=("umd", "google"),
    published={"refer/umd": {"train": 80_512, "val": 4_896, "test": 9_602}},
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep refcocog`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
