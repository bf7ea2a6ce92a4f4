"""Conversions of a small RefCOCO as a user starts them, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
from data_fixtures import coco_name, encoded, instances, python2_pickle, ref, sentence, write


def write_refcoco(root: Path) -> Path:
    """Write 60 images with 5 refs of 2 sentences each into a folder; one image in seven is missing."""
    refs, boxes = [], {}
    for image in range(60):
        for n in range(5):
            id = image * 5 + n
            boxes[id] = (image, [10.0, 20.0, 30.0, 40.0])
            split = "val" if image % 10 == 0 else "train"
            refs.append(ref(id, id, image, split, sentence(2 * id, f"a {id}"), sentence(2 * id + 1, f"b {id}")))
    Random(0).shuffle(refs)
    write(root / "refcoco" / "refs(unc).p", python2_pickle(refs, 2))
    write(root / "refcoco" / "instances.json", json.dumps(instances(boxes)))
    for image in range(60):
        if image % 7 != 3:
            write(root / "train2014" / coco_name(image), encoded(shade=image, comment=Random(image).randbytes(20_000)))
    return root


def command(source, out, *options) -> list[str]:
    """Words of a conversion in one process."""
    return ["refcoco", "--source", str(source), "--out", str(out), "--processes", "1", *options]


def content(out: Path) -> dict[str, bytes]:
    """Bytes of every file below a folder."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def rows_of(out: Path, pattern="*.parquet") -> list[dict]:
    """Rows of a folder's files, in order of their names."""
    return [row for path in sorted(out.glob(pattern)) for row in pq.read_table(path).to_pylist()]
