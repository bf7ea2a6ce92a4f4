"""RefCOCO, + and g as parquet files of the Hugging Face Hub, in two forms that differ in their boxes.

`hub-images` (lmms-lab) embeds images and has boxes as xywh. `hub-ids` (jxu124) names images of COCO's train2014 and has
boxes as xyxy, beside the original annotation as xywh.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.raw.coco import coco_file, locate_coco
from data_prep.raw.parquet_files import parquet_files_with, parquet_rows
from data_prep.raw.split_names import split_of_file
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.row.boxes import disagree, parse_box, xyxy_from_xywh
from data_prep.row.expression_sample import expression_sample
from data_prep.row.texts import from_json, text_of
from data_prep.types import RawRow, RejectedRow, Rejection, Sample, raw_row

_EMBEDDED = {"question_id", "image", "answer", "bbox", "file_name"}
_BY_ID = {"ref_id", "sentences", "bbox", "raw_image_info"}


def _embedded_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
    for path in parquet_files_with(source.files, _EMBEDDED):
        for where, block, row in parquet_rows(path, "image", source.files):
            expressions = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
            for position, expression in enumerate(expressions):
                id = text_of(row["question_id"])
                fields = {"id": id or where, "bbox": row["bbox"], "image": row["image"]}
                fields |= {"expression": expression, "position": position}
                same = (id, str(position), text_of(expression)) if id else ()
                group = coco_file(row["file_name"]) or where
                yield raw_row(split_of_file(path), f"{where}/{position}", fields, group, block, same)


def read_embedded(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one expression of a `hub-images` row."""
    box = parse_box(raw["bbox"])
    if not isinstance(box, Rejection):
        box = xyxy_from_xywh(box)
    id = f"{raw['id']}-{raw['position']}"
    return expression_sample(id, raw["expression"], box, raw["image"][0], is_refcoco=True)


def _rows_by_id(source: Source) -> Iterator[RawRow | RejectedRow]:
    for path in parquet_files_with(source.files, _BY_ID):
        for where, _, row in parquet_rows(path, None, source.files):
            yield from _sentences(path, where, row, source)


def _sentences(path: Path, where: str, row: dict[str, Any], source: Source) -> Iterator[RawRow | RejectedRow]:
    split = text_of(row.get("split")) or split_of_file(path)
    fields = {key: row.get(key) for key in ("ref_id", "ann_id", "bbox", "raw_anns")}
    try:
        image = from_json(row["raw_image_info"])
        annotation = from_json(fields.pop("raw_anns"))
    except ValueError as error:
        yield RejectedRow(split, where, Rejection("json_malformed", f"raw_image_info, raw_anns: {error}"))
        return
    if not isinstance(row["sentences"], list):
        yield RejectedRow(split, where, Rejection("row_malformed", "sentences: expected a list"))
        return
    image = image if isinstance(image, dict) else {}
    annotation = annotation if isinstance(annotation, dict) else {}
    name = coco_file(image.get("file_name") or row.get("image_path"))
    fields |= {"location": locate_coco(source.files, name), "size": [image.get("width"), image.get("height")]}
    fields["annotated"] = annotation.get("bbox")
    for position, sentence in enumerate(row["sentences"]):
        sentence = sentence if isinstance(sentence, dict) else {"sent": sentence}
        sentence = {key: sentence.get(key) for key in ("sent_id", "sent", "raw")}
        same = (text_of(sentence["sent_id"]), text_of(row["ref_id"]), text_of(sentence["sent"]))
        yield raw_row(split, f"{where}/{position}", {**fields, "sentence": sentence}, name, same=same)


def read_by_id(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one sentence of a `hub-ids` row; its two boxes must agree."""
    box = parse_box(raw["bbox"])
    if raw["annotated"] is not None and not isinstance(box, Rejection):
        annotated = parse_box(raw["annotated"])
        if isinstance(annotated, Rejection):
            return annotated
        if disagree(box, xyxy_from_xywh(annotated), tolerance=1):
            detail = f"bbox {raw['bbox']}, expected the corners of raw_anns {raw['annotated']}"
            return Rejection("box_disagrees", detail)
    sentence = raw["sentence"]
    expression = text_of(sentence["sent"]) or text_of(sentence["raw"])
    id = f"{raw['ref_id']}-{sentence['sent_id']}"
    return expression_sample(id, expression, box, raw["location"], tuple(raw["size"]), is_refcoco=True)


HUB_IMAGES = RawForm(
    "hub-images",
    "parquet files with the images inside (lmms-lab): question_id, image, answer, bbox xywh, file_name",
    lambda source: bool(parquet_files_with(source.files, _EMBEDDED)),
    _embedded_rows,
    read_embedded,
)
HUB_IDS = RawForm(
    "hub-ids",
    "parquet files without images (jxu124): ref_id, sentences, bbox xyxy, raw_image_info; set --image-root",
    lambda source: bool(parquet_files_with(source.files, _BY_ID)),
    _rows_by_id,
    read_by_id,
)
