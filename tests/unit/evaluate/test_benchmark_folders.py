"""Benchmarks as their authors' own folders, beside the Hub's parquet; and folders that are none."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmark_folders import LAYOUTS, MATH_VISION, MATHVERSE, MATHVISTA, WE_MATH, jpg, write_files, zipped
from evaluation_run import evaluate, job, png

from verl_plugins.evaluate.comparison_page import comparison_page
from verl_plugins.evaluate.data_rows import data_sha256, open_data, read_rows
from verl_plugins.evaluate.format import UnusableRow
from verl_plugins.evaluate.recognise import FORMATS


def rows_of(path):
    file = open_data(path, None, None, None, 42)
    return file, list(read_rows(file, file.chosen))


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_authors_folder_gives_the_rows_of_the_hubs_parquet(tmp_path, name):
    file, rows = rows_of(write_files(tmp_path / "own", LAYOUTS[name]))
    layout = FORMATS[name].layout
    assert (file.form.name, file.path.name in layout.names) == (name, True)
    records = layout.records(file.path)
    images = [
        record[layout.image] and {"bytes": row["images"][0]["bytes"], "path": "x"}
        for record, row in zip(records, rows, strict=True)
    ]
    hub = [{**record, layout.column: image} for record, image in zip(records, images, strict=True)]
    path = tmp_path / f"{file.path.stem}.parquet"
    pq.write_table(pa.Table.from_pylist(hub), path)
    assert rows_of(path)[1] == rows
    assert [len(row["images"]) for row in rows] == [bool(image) for image in images]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_and_its_file_are_evaluated_alike(tmp_path, name):
    folder = write_files(tmp_path / "own", LAYOUTS[name])
    annotations = open_data(folder, None, None, None, 42).path
    lines = [
        evaluate(job(tmp_path, path, out=out, reward={}), lambda _: "\\boxed{x}")[2]
        for path, out in ((folder, "a"), (annotations, "b"))
    ]
    assert lines[0] == lines[1] and {line["data_source"] for line in lines[0]} == {name}
    facts = json.loads((tmp_path / "a" / "evaluation.json").read_text())["data"]
    assert facts[0]["sha256"] == data_sha256(annotations, FORMATS[name])
    assert "Only B right" in comparison_page({}, {}, [], [], facts)


def test_images_lie_in_an_archive_too_and_missing_ones_are_counted(tmp_path):
    second = {**WE_MATH, "key": "2steps_2", "image_path": "2steps/image/1-2.png"}
    archive = zipped({"2steps/image/1-1.png": png()})
    write_files(tmp_path, {"testmini.json": [WE_MATH, second], "images.zip": archive})
    first, missing = rows_of(tmp_path / "testmini.json")[1]
    assert first["images"][0]["bytes"] == png()
    assert isinstance(missing, UnusableRow) and missing.reason == "image_missing" and "1-2.png" in missing.detail


def test_the_hash_covers_the_images(tmp_path):
    write_files(tmp_path, LAYOUTS["math_vision"])
    before = open_data(tmp_path, None, None, None, 42).sha256
    assert open_data(tmp_path, None, None, None, 42).sha256 == before
    write_files(tmp_path, {"images/7.jpg": png()})
    assert open_data(tmp_path, None, None, None, 42).sha256 != before


def test_rows_that_are_none_are_counted(tmp_path):
    short = {key: value for key, value in MATH_VISION.items() if key != "answer"}
    lines = "\n".join([json.dumps(MATH_VISION), "{broken", json.dumps(short), ""])
    write_files(tmp_path, {"test.jsonl": lines, "images/7.jpg": jpg()})
    rows = rows_of(tmp_path)[1]
    assert [row.reason if isinstance(row, UnusableRow) else "ok" for row in rows] == [
        "ok",
        "json_malformed",
        "row_malformed",
    ]
    assert rows[2].detail == "got no answer"


def test_mathverse_text_only_needs_no_image(tmp_path):
    record = {**MATHVERSE, "problem_version": "Text Only", "image": ""}
    write_files(tmp_path, {"testmini_text_only.json": [record]})
    (row,) = rows_of(tmp_path)[1]
    assert row["images"] == [] and row["extra_info"]["split"] == "testmini_text_only"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "got a folder with nothing, expected one of a benchmark, with HallusionBench.json or test.json or"),
        ({"a.txt": "x", "b.csv": "y"}, "got a folder with a.txt, b.csv, expected one of a benchmark"),
        ({"test.jsonl": "{}", "testmini.jsonl": "{}"}, "several files of annotations, expected one; give"),
        ({"testmini.json": [{"pid": 1}]}, "testmini.json: got records with pid, expected those of one of: mathvista: "),
        ({"testmini.json": []}, "got no records, expected a list or lines of JSON objects"),
        ({"testmini.json": "{"}, "expected JSON"),
        (
            {"test.jsonl": json.dumps(MATH_VISION)},
            "got none of its 1 images, e.g. images/7.jpg, expected them in images",
        ),
        (
            {"testmini.json": {"1": MATHVISTA}, "images/1.jpg": jpg()},
            "got no query of the rows 1, expected query.json",
        ),
    ],
)
def test_a_folder_that_is_none_gets_one_clear_error(tmp_path, files, message):
    with pytest.raises(SystemExit) as refused:
        rows_of(write_files(tmp_path, files))
    assert str(tmp_path) in str(refused.value) and message in str(refused.value)


def test_a_named_format_must_fit(tmp_path):
    write_files(tmp_path, LAYOUTS["we_math"])
    assert open_data(tmp_path, "we_math", None, None, 42).form.name == "we_math"
    with pytest.raises(SystemExit, match="expected those of one of: mathverse: "):
        open_data(tmp_path, "mathverse", None, None, 42)
