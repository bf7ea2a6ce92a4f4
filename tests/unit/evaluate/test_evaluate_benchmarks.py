"""The readers of benchmarks on rows as the Hub has them, and the rule of each."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evaluation_run import evaluate, job, png

from data_prep.row.images import EncodedImage
from verl_plugins.evaluate.benchmarks import (
    BENCHMARKS,
    hallusion_bench,
    math_vision,
    mathverse,
    mathvista,
    we_math,
)
from verl_plugins.evaluate.benchmarks.fields import image_of, make_row
from verl_plugins.evaluate.recognise import FORMATS, format_of

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


@pytest.mark.parametrize("name", ROWS)
def test_a_file_of_the_hub_is_recognised_and_evaluated(tmp_path, name):
    path = tmp_path / "testmini-00000-of-00001.parquet"
    columns = [key for key, value in ROWS[name]().items() if value == IMAGE]
    broken = dict.fromkeys(columns, {"bytes": b"no image", "path": None})
    pq.write_table(pa.Table.from_pylist([ROWS[name](), ROWS[name](**broken)]), path)
    assert format_of(set(pq.ParquetFile(path).schema_arrow.names), None, "x").name == name
    lines, summary = evaluate(job(tmp_path, path, reward={}), lambda _: BOXED % "x")[2:]
    assert summary["rejected"] == {"image_corrupt": 1} and lines[1]["status"] == "rejected"
    assert list(summary["answers"]) == [f"{name} testmini"]
    assert summary["answers"][f"{name} testmini"]["n"] == 1


@pytest.mark.parametrize("form", BENCHMARKS, ids=lambda form: form.name)
def test_a_row_has_the_fields_of_our_own_rows(form):
    row = form.read(ROWS[form.name](), 5, "test")
    content = row["prompt"][0]["content"]
    assert content.count("<image>") == len(row["images"]) == 1
    assert "\\boxed{answer}" in content and "{question}" not in content
    assert row["extra_info"]["index"] == 5 and row["extra_info"]["split"] == "test"
    assert json.dumps(row["extra_info"])
    assert (row["extra_info"]["orig_w"], row["extra_info"]["orig_h"]) == (40, 30)


def test_formats_do_not_fit_each_others_files():
    for name, row in ROWS.items():
        assert format_of(set(row()), None, "x").name == name
    assert set(FORMATS) == {"own", *ROWS}


@pytest.mark.parametrize(
    ("fields", "answer", "is_right"),
    [
        ({}, "1.2", 1),
        ({}, "1.24 cm", 1),  # rounded to one decimal
        ({}, "1.26", 0),
        ({"precision": 2.0, "answer": "1.20"}, "1.21", 0),
        ({"answer_type": "integer", "answer": "7"}, "7", 1),
        ({"answer_type": "integer", "answer": "7"}, "7.9", 1),  # as the authors' int(float(...))
        ({"answer_type": "integer", "answer": "7"}, "8", 0),
        ({"answer_type": "integer", "answer": "1200"}, "1,200", 1),
        ({"answer_type": "integer", "answer": "7"}, "7 or 8", 0),
        ({"answer_type": "list", "answer": "[1, 2.5]"}, "[1.0, 2.5]", 1),
        ({"answer_type": "list", "answer": "[1, 2.5]"}, "[2.5, 1]", 0),
        ({"answer_type": "text", "answer": "Yes"}, "yes", 1),
        ({"choices": ["145°", "3"], "answer": "145°", "answer_type": "text"}, "(A)", 1),
        ({"choices": ["145°", "3"], "answer": "145°", "answer_type": "text"}, "145", 1),
        ({"choices": ["145°", "3"], "answer": "145°", "answer_type": "text"}, "B", 0),
    ],
)
def test_mathvista_rounds_to_the_rows_precision(fields, answer, is_right):
    assert score(mathvista.FORMAT, mathvista_row(**fields), answer)["accuracy"] == is_right


def test_mathvista_tells_what_it_could_not_read():
    assert score(mathvista.FORMAT, mathvista_row(), "", "<think>so</think>%s")["status"] == "no_answer"
    assert score(mathvista.FORMAT, mathvista_row(), "long")["status"] == "bad_format"
    assert score(mathvista.FORMAT, mathvista_row(answer="about two"), "2")["status"] == "bad_gold"
    assert mathvista.read(mathvista_row(choices=["3", "4"], answer="5"), 0, "").reason == "answer_is_no_choice"
    assert mathvista.read(mathvista_row(answer=None), 0, "").reason == "answer_empty"


@pytest.mark.parametrize(
    ("answer", "is_right"), [("B", 1), ("(b)", 1), ("B: 4", 1), ("4", 1), ("5", 0), ("C", 0), ("E", 0)]
)
def test_mathverse_takes_letters_and_values(answer, is_right):
    assert score(mathverse.FORMAT, mathverse_row(), answer)["accuracy"] == is_right


def test_mathverse_free_answers_and_versions():
    free = mathverse_row(answer="\\frac{1}{2}", question_for_eval="How much?", question_type="free-form")
    assert score(mathverse.FORMAT, free, "0.5")["accuracy"] == 1
    row = mathverse.read(mathverse_row(problem_version="Text Only", image=None), 0, "")
    assert row["images"] == [] and "<image>" not in row["prompt"][0]["content"]
    assert row["extra_info"]["type"] == "Text Only"
    assert mathverse.read(mathverse_row(image=None), 0, "").reason == "image_missing"


@pytest.mark.parametrize(
    ("fields", "answer", "is_right"),
    [
        ({}, "C", 1),
        ({}, "6", 1),
        ({}, "8", 0),
        ({"answer": "6"}, "C", 1),
        ({"options": list("ABCDE")}, "C", 1),  # the options are in the image
        ({"options": list("ABCDE")}, "D", 0),
        ({"options": [], "answer": "24"}, "24", 1),
        ({"options": [], "answer": "24"}, "C", 0),
    ],
)
def test_math_vision_with_options_in_words_in_the_image_and_without(fields, answer, is_right):
    assert score(math_vision.FORMAT, math_vision_row(**fields), answer)["accuracy"] == is_right


def test_math_visions_tags_stand_where_the_image_is():
    content = math_vision.read(math_vision_row(), 0, "")["prompt"][0]["content"]
    assert content.startswith("Which piece fits?\n<image>\nChoices:\n(A) 2\n(B) 4")
    literal = math_vision.read(math_vision_row(options=list("ABCDE")), 0, "")["prompt"][0]["content"]
    assert "Choices" not in literal


@pytest.mark.parametrize(
    ("response", "gold", "is_right", "status"),
    [
        ("\\boxed{yes}", "1", 1, "ok"),
        ("<think>No?</think> \\boxed{Yes.}", "1", 1, "ok"),
        ("<answer>No</answer>", "1", 0, "ok"),
        ("No, they are not, yes?", "0", 1, "ok"),
        ("It could be yes or no.", "0", 0, "bad_format"),
        ("Nobody knows.", "0", 0, "no_answer"),
        ("", "0", 0, "no_answer"),
    ],
)
def test_hallusion_bench_is_yes_or_no(response, gold, is_right, status):
    result = score(hallusion_bench.FORMAT, hallusion_row(gt_answer=gold), response, "%s")
    assert (result["accuracy"], result["status"]) == (is_right, status)


def test_hallusion_bench_counts_questions_and_figures(tmp_path):
    """Figures 0 and 1, questions 0 and 1; wrong on figure 1, question 1; and a VS question without a figure."""
    raws = [hallusion_row(figure_id=figure, question_id=question) for figure in "01" for question in "01"]
    raws += [hallusion_row(category="VS", visual_input="0", image=None, set_id="5")]
    path = tmp_path / "image.parquet"
    pq.write_table(pa.Table.from_pylist(raws), path)
    result = evaluate(job(tmp_path, path, reward={}), lambda number: BOXED % ("no" if number == 3 else "yes"))[3]
    group = result["answers"]["hallusion_bench image"]
    assert group["accuracy"]["value"] == 4 / 5
    assert (group["qAcc"]["value"], group["qAcc"]["n"]) == (2 / 3, 3)  # question 1 was wrong on one of its figures
    assert (group["fAcc"]["value"], group["fAcc"]["n"]) == (1 / 2, 2)  # the question without a figure is none
    assert hallusion_bench.read(hallusion_row(gt_answer="2"), 0, "").reason == "answer_not_0_or_1"


@pytest.mark.parametrize(("answer", "is_right"), [("B", 1), ("3.5", 1), ("7/2", 1), ("A", 0), ("12", 0)])
def test_we_math_reads_its_options_from_one_text(answer, is_right):
    assert score(we_math.FORMAT, we_math_row(), answer)["accuracy"] == is_right


def test_we_math_rejects_options_that_are_none():
    assert we_math.read(we_math_row(option="12 or 13"), 0, "").reason == "options_unreadable"
    row = we_math.read(we_math_row(), 0, "")
    assert row["extra_info"]["choices"] == ["12", "3.5", "\\pi", "No correct answer"]
    assert row["extra_info"]["subject"] == "Area of Circles"


def test_images_are_those_that_training_would_see():
    picture = image_of(IMAGE)
    assert isinstance(picture, EncodedImage) and picture.data == IMAGE["bytes"]
    assert image_of({"bytes": None, "path": "x"}).reason == "image_missing"
    assert image_of({"bytes": b"no image", "path": None}).reason == "image_corrupt"


@pytest.mark.parametrize(
    ("text", "images", "placed"),
    [
        ("a", 0, "a"),
        ("a", 2, "<image><image>a"),
        ("a <image1> b <image1>", 1, "a <image> b "),
        ("<image 1>a<image_2>", 2, "<image>a<image>"),
        ("a <image>", 0, "a "),
        ("a <video>", 1, "<image>a < video>"),
    ],
)
def test_a_prompt_has_as_many_tags_as_images(text, images, placed):
    row = make_row("x", 0, "", text, [image_of(IMAGE)] * images, "1")
    assert row["prompt"][0]["content"].split(" Think first")[0] == placed
