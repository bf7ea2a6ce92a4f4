"""Small raw data sets for the tests of data_prep, with the fields of the real distributions."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

WIDTH, HEIGHT = 120, 90  # pixels of every ordinary fixture image
IMAGE_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(mode="RGB", size=(WIDTH, HEIGHT), form="JPEG", shade=0, **save) -> bytes:
    """Return an image file with a gradient; each `shade` makes another image."""
    image = Image.linear_gradient("L").resize(size).point(lambda value: (value + shade) % 256)
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257)  # the full range of 16 bits
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, format=form, **save)
    return buffer.getvalue()


def diagram() -> bytes:
    """Return a black line on transparency, as in InterGPS's diagrams; convert("RGB") alone would make it all black."""
    image = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (10, 10, 100, 14))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def write_table(path: Path, rows: list[dict], schema=None, row_group_size=2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=row_group_size)
    return path


# ---- Python 2 pickles: they hold a `str` as a byte string, in a form that Python 3's pickler never writes.


def python2_pickle(value, protocol: int) -> bytes:
    """Return the pickle that Python 2 would write of lists, dicts, texts and numbers, by protocol 0 or 2."""
    body = _opcodes(value, protocol)
    return (pickle.PROTO + bytes([2]) if protocol == 2 else b"") + body + pickle.STOP


def _opcodes(value, protocol: int) -> bytes:
    if isinstance(value, str):
        data = value.encode("cp1252")
        if protocol == 0:
            return pickle.STRING + repr(data)[1:].encode() + b"\n"
        return pickle.SHORT_BINSTRING + bytes([len(data)]) + data
    if isinstance(value, int):
        return pickle.INT + f"{value}\n".encode()
    if value is None:
        return pickle.NONE
    if isinstance(value, float):
        return pickle.FLOAT + f"{value!r}\n".encode()
    if isinstance(value, list):
        return pickle.MARK + pickle.LIST + b"".join(_opcodes(item, protocol) + pickle.APPEND for item in value)
    items = (_opcodes(key, protocol) + _opcodes(item, protocol) + pickle.SETITEM for key, item in value.items())
    return pickle.MARK + pickle.DICT + b"".join(items)


# ---- refer


def coco_name(image_id: int) -> str:
    return f"COCO_train2014_{image_id:012d}.jpg"


def sentence(sent_id: int, raw: str) -> dict:
    sent = raw.lower()
    return {"tokens": sent.split(), "raw": raw, "sent_id": sent_id, "sent": sent}


def ref(ref_id: int, ann_id: int, image_id: int, split: str, *sentences: dict) -> dict:
    """Return a ref; as in the distribution, its file_name is not a file, since it has a number before ".jpg"."""
    return {
        "sent_ids": [item["sent_id"] for item in sentences],
        "file_name": f"COCO_train2014_{image_id:012d}_{ref_id % 20}.jpg",
        "ann_id": ann_id,
        "ref_id": ref_id,
        "image_id": image_id,
        "split": split,
        "category_id": 1,
        "sentences": list(sentences),
    }


def instances(boxes: dict[int, tuple[int, list[float]]], sizes: dict[int, tuple[int, int]] | None = None) -> dict:
    """Return instances.json; `boxes` maps the id of an annotation to the id of its image and its xywh box."""
    image_ids = dict.fromkeys(image_id for image_id, _ in boxes.values())
    size = {image_id: (sizes or {}).get(image_id, (WIDTH, HEIGHT)) for image_id in image_ids}
    return {
        "info": {"description": "This is v1.0 of the 2014 MS COCO dataset."},
        "images": [
            {
                "license": 1,
                "file_name": coco_name(image_id),
                "coco_url": f"http://mscoco.org/images/{image_id}",
                "height": size[image_id][1],
                "width": size[image_id][0],
                "date_captured": "2013-11-18 13:25:47",
                "flickr_url": "http://farm5.staticflickr.com/x.jpg",
                "id": image_id,
            }
            for image_id in image_ids
        ],
        "licenses": [{"url": "http://creativecommons.org/licenses/by-nc-sa/2.0/", "id": 1, "name": "x"}],
        "annotations": [
            {
                "segmentation": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
                "area": box[2] * box[3] if len(box) == 4 else 0,
                "iscrowd": 0,
                "image_id": image_id,
                "bbox": box,
                "category_id": 1,
                "id": ann_id,
            }
            for ann_id, (image_id, box) in boxes.items()
        ],
        "categories": [{"supercategory": "person", "id": 1, "name": "person"}],
    }


REFS = [
    ref(7, 70, 581857, "train", sentence(1, "THE LADY WITH THE BLUE SHIRT"), sentence(2, "Lady in blue")),
    ref(8, 71, 581857, "train", sentence(3, "man on the left")),
    ref(9, 72, 99, "train", sentence(4, "caf\u00e9 table")),
    ref(10, 73, 5, "val", sentence(5, "dog")),
    ref(11, 74, 6, "testA", sentence(6, "cat")),
]
BOXES = {
    70: (581857, [10.39, 29.99, 13.42, 17.42]),
    71: (581857, [0.0, 0.0, 50.0, 60.5]),
    72: (99, [100.0, 50.0, 22.0, 20.0]),  # two pixels past the right edge
    73: (5, [1.0, 2.0, 3.0, 4.0]),
    74: (6, [1, 2, 30, 40]),
}


def refer_folder(root: Path, name="refcoco", by="unc", refs=REFS, boxes=BOXES, protocol=2, sizes=None) -> Path:
    """Write the refer distribution, with images in train2014/; return its folder."""
    write(root / name / f"refs({by}).p", python2_pickle(refs, protocol))
    write(root / name / "instances.json", json.dumps(instances(boxes, sizes)))
    for image_id in {image_id for image_id, _ in boxes.values()}:
        write(root / "train2014" / coco_name(image_id), encoded(shade=image_id % 200))
    return root


# ---- VLM-R1


def vlm_r1_row(id: int, image_id: int, box: list, problem="the man", **changes) -> dict:
    x1, y1, x2, y2 = box
    return {
        "height": HEIGHT,
        "width": WIDTH,
        "id": id,
        "original_id": id * 10,
        "dataset_name": "refcoco",
        "bbox_list": [box],
        "image": f"train2014/{coco_name(image_id)}",
        "problem": "Please provide the bounding box coordinate of the region this sentence describes: " + problem,
        "normal_caption": problem,
        "solution": box,
        "normalized_solution": [
            int(v / side * 1000) for v, side in zip(box, (WIDTH, HEIGHT, WIDTH, HEIGHT), strict=True)
        ],
        **changes,
    }


def vlm_r1_line(id: int, image, question: str, answer) -> dict:
    return {
        "id": id,
        "image": image,
        "conversations": [{"from": "human", "value": "<image>" + question}, {"from": "gpt", "value": answer}],
    }


# ---- Hub parquet of RefCOCO


def lmms_row(question_id: str, image_id: int, box: list[float], expressions: list[str], image=None) -> dict:
    return {
        "question_id": question_id,
        "image": {"bytes": encoded(shade=image_id), "path": "x.jpg"} if image is None else image,
        "question": "Please carefully observe the area circled in the image and come up with a caption for the area.",
        "answer": expressions,
        "segmentation": [1.0, 2.0, 3.0],
        "bbox": box,
        "iscrowd": 0,
        "file_name": f"COCO_train2014_{image_id:012d}_3.jpg",
    }


LMMS_SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("image", IMAGE_STRUCT),
        ("question", pa.string()),
        ("answer", pa.list_(pa.string())),
        ("segmentation", pa.list_(pa.float32())),
        ("bbox", pa.list_(pa.float32())),
        ("iscrowd", pa.int8()),
        ("file_name", pa.string()),
    ]
)


def jxu_row(ref_id: int, image_id: int, xywh: list[float], *sentences: dict, split="train") -> dict:
    x, y, w, h = xywh
    name = coco_name(image_id)
    return {
        "sent_ids": [item["sent_id"] for item in sentences],
        "file_name": f"COCO_train2014_{image_id:012d}_1.jpg",
        "ann_id": ref_id,
        "ref_id": ref_id,
        "image_id": image_id,
        "split": split,
        "sentences": list(sentences),
        "category_id": 1,
        "raw_anns": json.dumps({"bbox": xywh, "image_id": image_id, "id": ref_id}),
        "raw_image_info": json.dumps({"file_name": name, "height": HEIGHT, "width": WIDTH, "id": image_id}),
        "raw_sentences": json.dumps(sentences),
        "image_path": f"coco/train2014/{name}",
        "bbox": [x, y, x + w, y + h],
        "captions": [item["sent"] for item in sentences],
        "global_image_id": f"coco.{image_id}",
        "anns_id": f"coco.{ref_id}",
    }


# ---- Geometry3K


def intergps_problem(id: int, **changes) -> dict:
    return {
        "problem_text": "Find x.",
        "choices": ["1", "2.5", "\\sqrt{3}", "4"],
        "answer": "C",
        "annotat_text": f"Find $x$ of problem {id}.",
        "compact_choices": ["1", "2.5", "\\sqrt{3}", "4"],
        "precise_value": [1.0, 2.5, 1.732, 4.0],
        "rough_value": 1.7,
        "unit": "",
        "problem_type_graph": ["Triangle"],
        "problem_type_goal": ["Length"],
        **changes,
    }


def intergps_folder(root: Path, problems: dict[str, dict]) -> Path:
    """Write InterGPS's folders; `problems` maps a folder such as "train/0" to its data.json."""
    for place, problem in problems.items():
        write(root / place / "data.json", json.dumps(problem))
        write(root / place / "logic_form.json", "{}")
        write(root / place / "img_diagram.png", diagram())
        write(root / place / "img_diagram_point.png", diagram())
    return root


def zipped(archive: Path, files: dict[str, bytes]) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return archive


# ---- MM-Eureka


def eureka_row(id, question: str, answer, *images: str, **changes) -> dict:
    conversations = [{"role": "system", "content": "Solve it."}, {"role": "user", "content": question}]
    return {"id": id, "conversations": conversations, "answer": answer, "image_urls": list(images), **changes}


def qwen_row(id, question: str, answer, *images: str) -> dict:
    content = [{"type": "image", "image": f"file:///foreign/root/{name}"} for name in images]
    message = [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]
    return {"id": id, "message": json.dumps(message), "answer": answer}


def mmk12_row(id: str, question: str, answer: str, image: dict | None) -> dict:
    return {"id": id, "question": question, "answer": answer, "subject": "math", "image": image}


MMK12_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("subject", pa.string()),
        ("image", IMAGE_STRUCT),
    ]
)


def virl_row(qid: str, question: str, answer: str, *images: str) -> dict:
    return {
        "question": question,
        "answer": answer,
        "PassRate_32BTrained": 0.5,
        "PassRate_7BBase": 0.25,
        "category": "(GradeSchool) Geometric",
        "source": "Processed",
        "qid": qid,
        "image": list(images),
    }
