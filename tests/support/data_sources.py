"""Builders of raw sources for every converter and raw form, so that tests can put the same defect into each.

A grounding case is (image bytes or None, expression, xywh box), a maths case (image bytes or None, question, answer).
None stands for a missing image. A builder writes a source into a folder and returns the command line without --out.
"""

import base64
import csv
import json
from pathlib import Path

import pyarrow as pa
from data_fixtures import (
    IMAGE_STRUCT,
    LMMS_SCHEMA,
    MMK12_SCHEMA,
    coco_name,
    eureka_row,
    instances,
    intergps_problem,
    jxu_row,
    lmms_row,
    mmk12_row,
    python2_pickle,
    qwen_row,
    ref,
    sentence,
    virl_row,
    vlm_r1_line,
    vlm_r1_row,
    write,
    write_table,
    zipped,
)


def _corners(box):
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]] if len(box) == 4 else box


def _coco_images(root: Path, cases) -> None:
    (root / "train2014").mkdir(parents=True)
    for number, (image, *_) in enumerate(cases):
        if image is not None:
            write(root / "train2014" / coco_name(number), image)


def refer(root: Path, cases, name="refcoco", by="unc", split="train") -> list[str]:
    _coco_images(root, cases)
    boxes = {number: (number, list(box)) for number, (_, _, box) in enumerate(cases)}
    refs = [ref(n, n, n, split, sentence(n, expression)) for n, (_, expression, _) in enumerate(cases)]
    table = instances(boxes)
    for entry in table["images"]:  # sizes unknown: the cases' images have any size
        entry["width"] = entry["height"] = None
    write(root / name / f"refs({by}).p", python2_pickle(refs, 2))
    write(root / name / "instances.json", json.dumps(table))
    return [name, "--source", str(root), "--splits-by", by]


def refcoco_plus(root, cases):
    return refer(root, cases, "refcoco+", "unc")


def refcocog(root, cases):
    return refer(root, cases, "refcocog", "umd")


def refgta(root, cases):
    return refer(root, cases, "refgta", "utokyo", "test")


def vlm_r1_json(root: Path, cases, name="refcoco", file="refcoco_train.json") -> list[str]:
    _coco_images(root, cases)
    unknown = {"width": None, "height": None, "normalized_solution": None}
    rows = []
    for number, (_, expression, box) in enumerate(cases):
        row = vlm_r1_row(number, number, [0, 0, 1, 1], expression, **unknown)
        rows.append({**row, "solution": _corners(box)})
    write(root / "json" / file, json.dumps(rows))
    return [name, "--source", str(root / "json"), "--image-root", str(root / "train2014")]


def lisa(root, cases):
    return vlm_r1_json(root, cases, "lisa-grounding", "lisa_test.json")


def vlm_r1_jsonl(root: Path, cases) -> list[str]:
    _coco_images(root, cases)
    rows = []
    for number, (_, expression, box) in enumerate(cases):
        image, answer = f"train2014/{coco_name(number)}", _corners(box)
        rows.append(vlm_r1_line(number, [image] if number % 2 else image, expression, answer))
    write(root / "refcocog_val.jsonl", "\n".join(map(json.dumps, rows)))
    return ["refcocog", "--source", str(root)]


def hub_images(root: Path, cases) -> list[str]:
    rows = []
    for number, (image, expression, box) in enumerate(cases):
        struct = {"bytes": image, "path": f"{number}.jpg"}
        rows.append(lmms_row(f"q{number}", number, list(box), [expression], image=struct))
    write_table(root / "data" / "val-00000-of-00001.parquet", rows, LMMS_SCHEMA)
    return ["refcoco", "--source", str(root)]


def hub_ids(root: Path, cases) -> list[str]:
    _coco_images(root, cases)
    rows = []
    for number, (_, expression, box) in enumerate(cases):
        row = jxu_row(number, number, [0, 0, 1, 1], sentence(number, expression))
        info = json.dumps({"file_name": coco_name(number)})
        rows.append({**row, "bbox": _corners(box), "raw_anns": None, "raw_image_info": info})
    write_table(root / "hub" / "train.parquet", rows)
    return ["refcoco+", "--source", str(root / "hub"), "--image-root", str(root / "train2014")]


def own_lines(root: Path, cases) -> list[str]:
    """Rows of one's own whose images are files beside them."""
    rows = []
    for number, (image, expression, box) in enumerate(cases):
        if image is not None:
            write(root / "pictures" / f"{number}.img", image)
        rows.append({"thing": expression, "found": {"box": list(box)}, "picture": f"pictures/{number}.img"})
    write(root / "my.jsonl", "\n".join(map(json.dumps, rows)))
    fields = ["--expression", "thing", "--box", "found.box", "--image", "picture"]
    return ["jsonl", "--source", str(root / "my.jsonl"), *fields, "--box-format", "xywh", "--box-space", "pixels"]


GROUNDING = {
    "own lines": own_lines,
    "refcoco refer": refer,
    "refcoco+ refer": refcoco_plus,
    "refcocog refer": refcocog,
    "refgta refer": refgta,
    "refcoco vlm-r1": vlm_r1_json,
    "refcocog vlm-r1 lines": vlm_r1_jsonl,
    "lisa-grounding": lisa,
    "refcoco hub-images": hub_images,
    "refcoco+ hub-ids": hub_ids,
}


def intergps(root: Path, cases) -> list[str]:
    for number, (image, question, answer) in enumerate(cases):
        place = root / "train" / str(number)
        problem = intergps_problem(number, annotat_text=question, problem_text="", choices=["0", answer], answer="B")
        write(place / "data.json", json.dumps(problem))
        write(place / "logic_form.json", "{}")
        if image is not None:
            write(place / "img_diagram.png", image)
    return ["geometry3k", "--source", str(root)]


def geometry_hub(root: Path, cases) -> list[str]:
    rows = [
        {"images": [{"bytes": image, "path": None}], "problem": question, "answer": answer}
        for image, question, answer in cases
    ]
    schema = pa.schema([("images", pa.list_(IMAGE_STRUCT)), ("problem", pa.string()), ("answer", pa.string())])
    write_table(root / "data" / "test-00000-of-00001.parquet", rows, schema)
    return ["geometry3k", "--source", str(root)]


def _eureka_archive(root: Path, cases) -> list[str]:
    names = [f"K12/{number:04d}.png" for number in range(len(cases))]
    images = zip(names, cases, strict=True)
    zipped(root / "K12.zip", {f"some/foreign/{name}": case[0] for name, case in images if case[0] is not None})
    return names


def eureka_v1(root: Path, cases) -> list[str]:
    names = _eureka_archive(root, cases)
    rows = [eureka_row(n, case[1], case[2], names[n]) for n, case in enumerate(cases)]
    write(root / "dataset.jsonl", "\n".join(map(json.dumps, rows)))
    return ["mm-eureka", "--source", str(root)]


def eureka_qwen(root: Path, cases) -> list[str]:
    names = _eureka_archive(root, cases)
    rows = [qwen_row(n, case[1].replace("<image>", ""), case[2], names[n]) for n, case in enumerate(cases)]
    write(root / "qwen.jsonl", "\n".join(map(json.dumps, rows)))
    return ["mm-eureka", "--source", str(root)]


def mmk12(root: Path, cases) -> list[str]:
    rows = [mmk12_row(f"k{n}", case[1], case[2], {"bytes": case[0], "path": None}) for n, case in enumerate(cases)]
    write_table(root / "train-00000-of-00001.parquet", rows, MMK12_SCHEMA)
    return ["mmk12", "--source", str(root)]


def virl39k(root: Path, cases) -> list[str]:
    names = [f"images/{number:04d}.png" for number in range(len(cases))]
    zipped(root / "images.zip", {name: c[0] for name, c in zip(names, cases, strict=True) if c[0] is not None})
    rows = [virl_row(f"v{n}", case[1], case[2], names[n]) for n, case in enumerate(cases)]
    write_table(root / "39Krelease.parquet", rows)
    return ["virl39k", "--source", str(root)]


def own_parquet(root: Path, cases) -> list[str]:
    """EasyR1's columns, as they are recognised."""
    return ["jsonl", *geometry_hub(root, cases)[1:]]


def own_csv(root: Path, cases) -> list[str]:
    """Images as data URLs in a table of texts."""
    root.mkdir(parents=True)
    with (root / "my_train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["asked", "told", "shown"])
        for image, question, answer in cases:
            url = f"data:image/png;base64,{base64.b64encode(image).decode()}" if image is not None else "gone.png"
            table.writerow([question, answer, url])
    fields = ["--question", "asked", "--answer", "told", "--image", "shown"]
    return ["jsonl", "--source", str(root), *fields]


MATHS = {
    "own parquet": own_parquet,
    "own csv": own_csv,
    "geometry3k intergps": intergps,
    "geometry3k hub": geometry_hub,
    "mm-eureka v1": eureka_v1,
    "mm-eureka qwen": eureka_qwen,
    "mmk12": mmk12,
    "virl39k": virl39k,
}
