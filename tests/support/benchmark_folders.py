"""Miniatures of the benchmarks' own folders, with every field that the authors' files have and content of our own."""

import io
import json
import zipfile

from evaluation_run import png
from PIL import Image

MATH_VISION = {
    "id": "7",
    "question": "Which piece fits?\n<image1>\n<image2>",
    "options": ["2", "4", "6"],
    "answer": "C",
    "solution": None,
    "level": 2,
    "subject": "counting",
    "image": "images/7.jpg",
}
MATHVERSE = {
    "sample_index": "3",
    "problem_index": "1",
    "problem_version": "Text Dominant",
    "question": "Find AB.\nChoices:\nA:3\nB:4\nC:5\nD:6",
    "image": "images_version_1-4/image_1.png",
    "answer": "B",
    "question_type": "multi-choice",
    "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Length"},
    "query_wo": "Answer.\nQuestion: Find AB.\nChoices:\nA:3\nB:4\nC:5\nD:6",
    "query_cot": "Reason.\nQuestion: Find AB.\nChoices:\nA:3\nB:4\nC:5\nD:6",
}
HALLUSION_BENCH = {
    "category": "VD",
    "subcategory": "illusion",
    "visual_input": "1",
    "set_id": "4",
    "figure_id": "1",
    "sample_note": "circle",
    "question_id": "2",
    "question": "Are the circles equal?",
    "gt_answer_details": "They are.",
    "gt_answer": "1",
    "filename": "./VD/illusion/4_1.png",
}
WE_MATH = {
    "ID": "2steps_1",
    "split": "testmini",
    "knowledge concept": "Area of Circles",
    "question": "What is the area?",
    "option": "A. 12; B. 3.5; C. \\pi ; D. No correct answer",
    "answer": "B",
    "image_path": "2steps/image/1-1.png",
    "key": "2steps_1",
    "question number": 1,
    "knowledge concept description": "Area of Circles:\n1. S = πr²",
}
MATHVISTA = {
    "question": "How long?",
    "image": "images/1.jpg",
    "choices": None,
    "unit": "cm",
    "precision": 1,
    "answer": "1.2",
    "question_type": "free_form",
    "answer_type": "float",
    "pid": "1",
    "metadata": {
        "split": "testmini",
        "language": "english",
        "img_width": 40,
        "img_height": 30,
        "source": "Own",
        "category": "math-targeted-vqa",
        "task": "geometry problem solving",
        "context": "geometry diagram",
        "grade": "college",
        "skills": ["geometry reasoning"],
    },
}


def jpg():
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (10, 200, 10)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_files(folder, files):
    """Write a folder: bytes and text as they are, other values as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


LAYOUTS = {
    "math_vision": {"data/test.jsonl": json.dumps(MATH_VISION) + "\n", "images/7.jpg": jpg()},
    "mathverse": {"data/testmini.json": [MATHVERSE], f"data/images/{MATHVERSE['image']}": png()},
    "hallusion_bench": {
        "HallusionBench.json": [
            HALLUSION_BENCH,
            {
                **HALLUSION_BENCH,
                "category": "VS",
                "visual_input": "0",
                "figure_id": "0",
                "gt_answer": "0",
                "filename": None,
            },
        ],
        "hallusion_bench/VD/illusion/4_1.png": png(),
    },
    "we_math": {"data/testmini.json": [WE_MATH], "data/2steps/image/1-1.png": png()},
    "mathvista": {
        "data/testmini.json": {"1": MATHVISTA},
        "data/query.json": {"1": "Hint: a number.\nQuestion: How long? (Unit: cm)", "2": "of another row"},
        "data/images/1.jpg": jpg(),
    },
}
"""The authors' folder of each benchmark: names of files, and what they hold."""
