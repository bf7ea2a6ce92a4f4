"""RefCOCO+: referring expressions without words of place, in any of its distributions."""

from __future__ import annotations

from data_prep.command import convert_command
from data_prep.raw_forms.raw_form import DataSet
from data_prep.raw_forms.refcoco_hub import HUB_IDS, HUB_IMAGES
from data_prep.raw_forms.refer import refer_format
from data_prep.raw_forms.vlm_r1 import vlm_r1_format

DATA_SET = DataSet(
    "refcoco+",
    "grounding",
    "RefCOCO+: referring expressions for objects in COCO photographs, without words of place.",
    (refer_format("refcoco+"), vlm_r1_format(r"refcoco(?:p|\+|plus)"), HUB_IMAGES, HUB_IDS),
    template="r1",
    splits_by=("unc",),
    published={"refer/unc": {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889}},
)


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep refcoco+`."""
    convert_command(DATA_SET, argv)


if __name__ == "__main__":
    main()
