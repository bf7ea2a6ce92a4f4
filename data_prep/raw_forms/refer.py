"""The refer distribution: refs(SPLITS_BY).p, a pickle of Python 2, beside instances.json in COCO's layout."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import dirname
from pathlib import Path, PurePosixPath
from typing import Any

from data_prep.raw.coco import coco_file, locate_coco
from data_prep.raw.files import UNREADABLE, beside, read_bytes
from data_prep.raw.json_files import parse_json
from data_prep.raw.pickles import parse_plain
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.row.boxes import parse_box, xyxy_from_xywh
from data_prep.row.expression_sample import expression_sample
from data_prep.row.texts import text_of
from data_prep.types import Location, RawRow, RejectedRow, Rejection, Sample, raw_row


def refer_form(folder: str) -> RawForm:
    """Build the form of the data set in this folder of the distribution; the source may also be the folder itself."""

    def recognise(source: Source) -> bool:
        return _refs_file(source, folder) is not None

    def list_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
        yield from _sentence_rows(_refs_file(source, folder), source)

    about = f"{folder}/refs(SPLITS_BY).p and {folder}/instances.json, or their zip; images below, or in --image-root"
    return RawForm("refer", about, recognise, list_rows, read_refer)


def _refs_file(source: Source, folder: str) -> Location:
    """Return the location of the refs, packed ones last; None if there are none."""
    root = source.path.absolute().as_posix()
    found = source.files.named(f"refs({source.splits_by}).p")
    matches = [
        location
        for virtual, location in found
        if PurePosixPath(virtual).parent.name == folder or (isinstance(location, str) and dirname(location) == root)
    ]
    return min(matches, key=lambda location: not isinstance(location, str), default=None)


def _sentence_rows(refs_file: Location, source: Source) -> Iterator[RawRow | RejectedRow]:
    """Yield a raw row for each sentence, with the fields ref, sentence, annotation, image and location.

    The image of a ref is found by its `image_id` among the instances, since its own `file_name` is not a file.

    Raises:
        SystemExit: refs(SPLITS_BY).p or instances.json does not have the layout of the distribution.
    """
    instances_file = beside(refs_file, "instances.json")
    name = PurePosixPath(_text(refs_file)).name
    refs = parse_plain(_content(refs_file), _text(refs_file))
    instances = parse_json(_content(instances_file), Path(_text(instances_file)), without="segmentation")
    try:
        annotations = {entry["id"]: {"bbox": entry["bbox"]} for entry in instances["annotations"]}
        keys = ("file_name", "width", "height")
        images = {entry["id"]: {key: entry.get(key) for key in keys} for entry in instances["images"]}
        assert isinstance(refs, list)
    except (KeyError, TypeError, AssertionError) as error:
        raise SystemExit(f"{_text(instances_file)}: not of the refer distribution's form: {error!r}") from None
    for number, ref in enumerate(refs):
        if not isinstance(ref, dict) or not isinstance(ref.get("sentences"), list):
            yield RejectedRow("", f"{name}#{number}", Rejection("row_malformed", f"got {str(ref)[:80]!r}"))
            continue
        image = _entry(images, ref.get("image_id"))
        location = locate_coco(source.files, coco_file(image["file_name"])) if image else None
        ids = {key: ref.get(key) for key in ("ref_id", "ann_id", "image_id")}
        fields = {"ref": ids, "annotation": _entry(annotations, ids["ann_id"]), "image": image, "location": location}
        for position, sentence in enumerate(ref["sentences"]):
            sentence = sentence if isinstance(sentence, dict) else {}
            sentence = {key: sentence.get(key) for key in ("sent_id", "sent", "raw")}
            where = f"{name}#{number}/{position} (ref {ids['ref_id']})"
            same = (text_of(sentence["sent_id"]), str(ids), text_of(sentence["sent"]))
            row = {**fields, "sentence": sentence}
            yield raw_row(text_of(ref.get("split")), where, row, str(ids["image_id"]), same=same)


def _content(location: Location) -> bytes:
    try:
        return read_bytes(location)
    except UNREADABLE as error:
        raise SystemExit(f"{_text(location)}: cannot be read: {error}; fetch it again") from None


def _text(location: Location) -> str:
    """Return the path of a file, or the archive and the member, as text."""
    return location if isinstance(location, str) else "/".join(location)


def _entry(entries: dict[Any, dict[str, Any]], id: Any) -> dict[str, Any] | None:
    return entries.get(id) if isinstance(id, int | str) else None


def read_refer(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one sentence of `_sentence_rows`: its text as the distribution cleaned it, or as typed if that is empty."""
    ref, sentence, image = raw["ref"], raw["sentence"], raw["image"]
    if image is None:
        return Rejection("unknown_image", f"image {ref['image_id']}")
    if raw["annotation"] is None:
        return Rejection("unknown_annotation", f"annotation {ref['ann_id']}")
    box = parse_box(raw["annotation"]["bbox"])
    if not isinstance(box, Rejection):
        box = xyxy_from_xywh(box)
    expression = text_of(sentence["sent"]) or text_of(sentence["raw"])
    id = f"{ref['ref_id']}-{sentence['sent_id']}"
    return expression_sample(id, expression, box, raw["location"], (image["width"], image["height"]), is_refcoco=True)
