"""Rows of the benchmarks as the Hub's parquet has them, with content of our own."""

from evaluation_run import png

IMAGE = {"bytes": png(), "path": None}
BOXED = "<think>so</think> \\boxed{%s}"


def mathvista_row(**fields):
    row = {
        "pid": "1",
        "question": "How long?",
        "image": "images/1.jpg",
        "decoded_image": IMAGE,
        "choices": None,
        "unit": None,
        "precision": 1.0,
        "answer": "1.2",
        "question_type": "free_form",
        "answer_type": "float",
        "metadata": {"task": "geometry problem solving", "grade": "high school"},
        "query": "Hint: Please answer with a number.\nQuestion: How long?",
    }
    return {**row, **fields}


def mathverse_row(**fields):
    row = {
        "sample_index": "3",
        "problem_index": "1",
        "problem_version": "Text Dominant",
        "question": "Find AB.\nChoices:\nA:3\nB:4\nC:5\nD:6",
        "image": IMAGE,
        "answer": "B",
        "question_type": "multi-choice",
        "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Length"},
        "query_wo": "Please directly answer.\nQuestion: Find AB.",
        "query_cot": "Please first conduct reasoning.\nQuestion: Find AB.\nChoices:\nA:3\nB:4\nC:5\nD:6",
        "question_for_eval": "As in the figure, find AB.\nChoices:\nA:3\nB:4\nC:5\nD:6",
    }
    return {**row, **fields}


def math_vision_row(**fields):
    row = {
        "id": "7",
        "question": "Which piece fits?\n<image1>",
        "options": ["2", "4", "6", "8", "10"],
        "image": "images/7.jpg",
        "decoded_image": IMAGE,
        "answer": "C",
        "solution": None,
        "level": 2,
        "subject": "counting",
    }
    return {**row, **fields}


def hallusion_row(**fields):
    row = {
        "category": "VD",
        "subcategory": "illusion",
        "visual_input": "1",
        "set_id": "0",
        "figure_id": "0",
        "sample_note": "circle",
        "question_id": "0",
        "question": "Are the circles equal?",
        "gt_answer_details": "They are.",
        "gt_answer": "1",
        "filename": "x.png",
        "image": IMAGE,
    }
    return {**row, **fields}


def we_math_row(**fields):
    row = {
        "ID": "2steps_1_1",
        "split": "testmini",
        "knowledge concept": "Area of Circles",
        "question": "What is the area?",
        "option": "A. 12; B. 3.5; C. \\pi ; D. No correct answer",
        "answer": "B",
        "image_path": IMAGE,
        "key": "2steps_1",
    }
    return {**row, **fields}


ROWS = {
    "mathvista": mathvista_row,
    "mathverse": mathverse_row,
    "math_vision": math_vision_row,
    "hallusion_bench": hallusion_row,
    "we_math": we_math_row,
}


def score(form, raw, answer, text=BOXED):
    return form.score(text % answer, form.read(raw, 0, "test"))
