"""Declares the data sets that `python -m data_prep NAME` converts."""

from __future__ import annotations

from data_prep.data_set import DataSet
from data_prep.own_options import add_own_options, with_own_options
from data_prep.raw_forms.geometry3k_hub import HUB
from data_prep.raw_forms.geometry3k_intergps import INTERGPS
from data_prep.raw_forms.mm_eureka import QWEN, V1
from data_prep.raw_forms.own_rows import OWN_ROWS
from data_prep.raw_forms.question_parquet import question_form
from data_prep.raw_forms.refcoco_hub import HUB_IDS, HUB_IMAGES
from data_prep.raw_forms.refer import refer_form
from data_prep.raw_forms.vlm_r1 import vlm_r1_form


def _of_all_forms(author: str, expressions: dict[str, int]) -> dict[str, dict[str, int]]:
    """Return the published number of expressions of each split for every form of RefCOCO, + or g.

    lmms-lab's parquet has neither train nor the val of this author alone, to which it adds that of Google.
    """
    tests = {split: count for split, count in expressions.items() if split.startswith("test")}
    forms = {"refer": expressions, "vlm-r1": expressions, "hub-ids": expressions, "hub-images": tests}
    return {f"{form}/{author}": counts for form, counts in forms.items()}


_GEOMETRY3K_ROWS = {"train": 2_101, "val": 300, "test": 601}

_ALL = (
    DataSet(
        name="refcoco",
        ability="grounding",
        summary="RefCOCO: short referring expressions",
        description="RefCOCO: short referring expressions for objects in COCO photographs.",
        forms=(refer_form("refcoco"), vlm_r1_form("refcoco"), HUB_IMAGES, HUB_IDS),
        template="r1",
        splits_by=("unc", "google"),
        published=_of_all_forms("unc", {"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095}),
    ),
    DataSet(
        name="refcoco+",
        ability="grounding",
        summary="RefCOCO+: without words of place",
        description="RefCOCO+: referring expressions for objects in COCO photographs, without words of place.",
        forms=(refer_form("refcoco+"), vlm_r1_form(r"refcoco(?:p|\+|plus)"), HUB_IMAGES, HUB_IDS),
        template="r1",
        splits_by=("unc",),
        published=_of_all_forms("unc", {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889}),
    ),
    DataSet(
        name="refcocog",
        ability="grounding",
        summary="RefCOCOg: longer ones",
        description=(
            "RefCOCOg: longer referring expressions for objects in COCO photographs.\n"
            "The google splits have images in train and val alike; the umd splits do not."
        ),
        forms=(refer_form("refcocog"), vlm_r1_form("refcocog"), HUB_IMAGES, HUB_IDS),
        template="r1",
        splits_by=("umd", "google"),
        published=_of_all_forms("umd", {"train": 80_512, "val": 4_896, "test": 9_602}),
    ),
    DataSet(
        name="lisa-grounding",
        ability="grounding",
        summary="LISA-Grounding: expressions that need reasoning, for evaluation",
        description="LISA-Grounding: expressions that need reasoning to find their object; for evaluation.",
        forms=(vlm_r1_form("lisa", "test"),),
        template="r1",
        published={"vlm-r1": {"test": 1_658}},
    ),
    DataSet(
        name="refgta",
        ability="grounding",
        summary="RefGTA: people in a computer game, for evaluation",
        description="RefGTA: referring expressions for people in pictures of a computer game; for evaluation.",
        forms=(refer_form("refgta"), vlm_r1_form("refgta", "test")),
        template="r1",
        splits_by=("utokyo",),
    ),
    DataSet(
        name="geometry3k",
        ability="math",
        summary="Geometry3K: geometry with diagrams",
        description=(
            "Geometry3K: geometry problems with diagrams. The answer is the value of the right choice, not its letter."
        ),
        forms=(INTERGPS, HUB),
        template="boxed",
        published={"intergps": _GEOMETRY3K_ROWS, "hub": _GEOMETRY3K_ROWS},
    ),
    DataSet(
        name="mm-eureka",
        ability="math",
        summary="MM-Eureka-Dataset: school mathematics and science",
        description=(
            "MM-Eureka-Dataset: school mathematics and science with pictures.\n"
            "Rows with its blank picture have nothing to look at and are rejected as text_only."
        ),
        forms=(V1, QWEN),
        template="boxed",
        published={"v1": {"train": 54_931}},
    ),
    DataSet(
        name="mmk12",
        ability="math",
        summary="MMK12: school mathematics and science, with a test of four subjects",
        description="MMK12: school mathematics and science; free answers to train on, multiple choice to test.",
        forms=(
            question_form(
                id_column="id",
                subject_column="subject",
                default_split="",
                about="parquet files of the Hub: id, question, answer, subject, image",
            ),
        ),
        template="boxed",
        published={"parquet": {"train": 15_616, "test": 2_000}},
    ),
    DataSet(
        name="virl39k",
        ability="math",
        summary="ViRL39K: visual reasoning of many kinds",
        description="ViRL39K: visual reasoning of many kinds.",
        forms=(
            question_form(
                id_column="qid",
                subject_column="category",
                default_split="train",
                about="a parquet file (question, answer, image, qid) and images.zip, packed or not",
            ),
        ),
        template="boxed",
        published={"parquet": {"train": 38_870}},
    ),
)

DATA_SETS = {data_set.name: data_set for data_set in _ALL}

OWN = DataSet(
    name="jsonl",
    ability="",  # and the name and template of the rows: by the options
    summary="your own questions, in JSON lines, JSON, CSV or parquet",
    description=(
        "Your own questions, answers and images. Options name the fields that hold them; EasyR1's and verl's columns\n"
        "are recognised without options. A field of a field is named with dots: meta.answer, conversations.1.value."
    ),
    forms=(OWN_ROWS,),
    template="",
    add_options=add_own_options,
    with_options=with_own_options,
)
