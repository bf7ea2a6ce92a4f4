"""The readers of benchmarks on rows as the Hub has them, and the rule of each."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_rows import (
    BOXED,
    IMAGE,
    ROWS,
    hallusion_row,
    math_vision_row,
    mathverse_row,
    score,
    we_math_row,
)
from evaluation_run import evaluate, job, png

from data_prep.row.images import EncodedImage
from verl_plugins.evaluate.benchmarks import (
    BENCHMARKS,
    hallusion_bench,
    math_vision,
    mathverse,
    we_math,
)
from verl_plugins.evaluate.benchmarks.fields import image_of, make_row
from verl_plugins.evaluate.recognise import FORMATS, format_of


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


CHOICE = "True north?\nChoice:\nA. 090^\\circ T\nB. 082掳T"


@pytest.mark.parametrize(
    ("fields", "answer", "is_right"),
    [
        ({"question_for_eval": CHOICE, "answer": r"090^\circ T"}, "A", 1),  # the gold is the choice's text
        ({"question_for_eval": CHOICE, "answer": r"090^\circ T"}, "B", 0),
        ({"question_for_eval": CHOICE, "answer": "B"}, "82° T", 1),
        ({"question_for_eval": CHOICE, "answer": "B"}, "A", 0),
        ({"question_for_eval": CHOICE, "answer": "B"}, "90° T", 0),
        ({"answer": "(B)"}, "B", 1),
        ({"answer": "(B)"}, "C", 0),
        ({"question_for_eval": "x\nChoices:\nA:3\nB:\nC:5", "answer": "C"}, "C", 1),
        ({"question_for_eval": "x\nChoices:\nA:3\nB:\nC:5", "answer": "C"}, "B", 0),
        ({"question_for_eval": "How many degrees?", "answer": "35掳"}, "35°", 1),
        ({"question_for_eval": "How many degrees?", "answer": "35Â°"}, r"35^\circ", 1),
        ({"question_for_eval": "How many degrees?", "answer": "35掳"}, "36°", 0),
    ],
)
def test_mathverse_choices_and_degrees_as_its_files_write_them(fields, answer, is_right):
    assert score(mathverse.FORMAT, mathverse_row(**fields), answer)["accuracy"] == is_right


def test_mathverse_shows_degrees_and_lists_no_choices_that_are_incomplete():
    row = mathverse.read(mathverse_row(query_cot="Is it 30掳?", question_for_eval="x\nChoices:\nA:3\nB:\nC:5"), 0, "")
    assert row["prompt"][0]["content"].startswith("<image>Is it 30°?")
    assert row["extra_info"]["choices"] == []
    own_file = mathverse_row()
    del own_file["question_for_eval"]  # as in the authors' own files
    assert mathverse.read(own_file, 0, "")["extra_info"]["choices"] == ["3", "4", "5", "6"]


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


def test_math_vision_keeps_the_mentions_of_pictures_that_its_one_image_shows():
    fields = {"question": "Cut <image1> as in <image2>.\n<image1>", "options": ["<image3>", "<image4>"], "answer": "B"}
    row = math_vision.read(math_vision_row(**fields), 0, "")
    start = "Cut <image> as in image 2.\nimage 1\nChoices:\n(A) image 3\n(B) image 4"
    assert row["prompt"][0]["content"].startswith(start)
    assert row["extra_info"]["question"].startswith("Cut  as in image 2.")
    right = [score(math_vision.FORMAT, math_vision_row(**fields), answer)["accuracy"] for answer in ("B", "image 4")]
    wrong = [
        score(math_vision.FORMAT, math_vision_row(**fields), answer)["accuracy"]
        for answer in ("A", "image 3", "image 1", "image 2", "4")
    ]
    assert (right, wrong) == ([1, 1], [0] * 5)


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


@pytest.mark.parametrize(
    "option", ["A. 45° B. 60° ;C. 120°; D. None", "A. East to ;C.  ;B. West to ;C. ;D. None", "12 or 13"]
)
def test_we_math_shows_options_that_it_cannot_tell_apart_as_they_are(option):
    raw = we_math_row(option=option, answer="B")
    row = we_math.read(raw, 0, "")
    assert row["prompt"][0]["content"].startswith(f"<image>What is the area?\n{option}")
    assert row["extra_info"]["choices"] == []
    assert score(we_math.FORMAT, raw, "B")["accuracy"] == score(we_math.FORMAT, raw, "(B)")["accuracy"] == 1
    assert [score(we_math.FORMAT, raw, answer)["accuracy"] for answer in "ACDE2"] == [0] * 5


def test_we_math_tells_a_problem_from_its_steps():
    keys = ("2steps_1", "2steps_2", "2steps_multi")
    rows = [we_math.read(we_math_row(ID="2steps_7", key=key), 0, "") for key in keys]
    assert [row["extra_info"]["id"] for row in rows] == [f"2steps_7/{key}" for key in keys]


def test_we_math_lists_its_options():
    assert we_math.options_of("A. ①;B．②;C. ③") == ["①", "②", "③"]
    row = we_math.read(we_math_row(), 0, "")
    assert row["extra_info"]["choices"] == ["12", "3.5", "\\pi", "No correct answer"]
    assert row["extra_info"]["subject"] == "Area of Circles"


def test_images_are_those_that_training_would_see():
    picture = image_of(IMAGE)
    assert isinstance(picture, EncodedImage) and picture.data == IMAGE["bytes"]
    small = image_of({"bytes": png(size=(187, 18)), "path": None})  # MathVista has one; the processor scales it up
    assert isinstance(small, EncodedImage) and (small.width, small.height) == (187, 18)
    assert image_of({"bytes": None, "path": "x"}).reason == "image_missing"
    assert image_of({"bytes": b"no image", "path": None}).reason == "image_corrupt"


@pytest.mark.parametrize(
    ("text", "images", "placed"),
    [
        ("a", 0, "a"),
        ("a", 2, "<image><image>a"),
        ("a <image1> b <image1>", 1, "a <image> b image 1"),
        ("<image 1>a<image_2>", 2, "<image>a<image>"),
        ("<image1>a<image1><image2>", 2, "<image>aimage 1<image>"),
        ("a <image1> b <image 2>", 1, "a <image> b image 2"),
        ("a <image2>", 0, "a image 2"),
        ("a <image>", 0, "a "),
        ("a <video>", 1, "<image>a < video>"),
    ],
)
def test_a_prompt_has_as_many_tags_as_images(text, images, placed):
    row = make_row("x", 0, "", text, [image_of(IMAGE)] * images, "1")
    assert row["prompt"][0]["content"].split(" Think first")[0] == placed
