"""Rows of one's own: their fields, images and splits, and what is refused."""

import base64
import json
from collections import Counter

import pyarrow as pa
import pytest
from data_fixtures import HEIGHT, IMAGE_STRUCT, WIDTH, encoded, write, write_table, zipped
from own_rows import ANSWER, BOX, convert, golds, lines, row

from data_prep.__main__ import main
from data_prep.raw.field_paths import field_at, field_paths, fields_text
from data_prep.raw.image_values import image_content, image_items
from data_prep.raw_forms.val_split import drawn_rows

# -- fields ------------------------------------------------------------------------------------------------------------

NESTED = {
    "meta": {"answer": "5", "a.b": 7},
    "conversations": [{"value": "Q"}, {"value": "A"}],
    "objects": [{"bbox": [1, 2, 3, 4]}, {"name": "x"}, {"bbox": [5, 6, 7, 8]}],
    "x.y": 1,
    "images": [{"bytes": b"", "path": None}],
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("meta.answer", "5"),
        ("meta.a.b", 7),
        ("conversations.1.value", "A"),
        ("conversations.value", ["Q", "A"]),
        ("objects.bbox", [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("x.y", 1),
        ("conversations.2.value", None),
        ("meta.answer.more", None),
        ("objects.colour", None),
        ("x", None),
        ("none", None),
    ],
)
def test_a_dotted_path_leads_into_objects_and_lists(path, value):
    assert field_at(NESTED, path) == value


def test_the_fields_of_a_file_are_told_with_the_nearest_first():
    assert list(field_paths(NESTED)) == [
        "meta", "meta.answer", "meta.a.b", "conversations", "conversations.0.value", "conversations.1.value",
        "objects", "objects.0.bbox", "objects.1.name", "x.y", "images", "none",
    ]  # fmt: skip
    assert fields_text([{"question": 1, "answer": 2}], ["anwser"]) == "nearest: answer; its fields: question, answer"
    assert fields_text([{"question": 1}], ["bild"]) == "its fields: question"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--question", "qestion", *ANSWER[2:]],
            "--question qestion, .*nearest: question; its fields: question, answer",
        ),
        ([*ANSWER, "--id", "key"], "got --id key, expected fields of the file"),
        (ANSWER[:4], "got --question, --answer, expected .* and --image"),
        (["--box-format", "xyxy"], "got --box-format, expected --question or --expression"),
        ([*BOX[:-1]], "--box: got it without --box-format and --box-space"),
        ([*BOX, "pixels"], "--box: got it without --box-format and --box-space"),
        ([*ANSWER, "--box-space", "0-1"], "--box-space: got it with --answer"),
        (["--expression", "question", *ANSWER[2:]], "--expression: got it with --answer"),
        ([*BOX, "0-1", "--box-format", "xyxy", "--choices", "c"], "--choices: got it with --box"),
        ([*ANSWER, "--val-fraction", "1"], "--val-fraction: got 1.0, expected a number between 0 and 1"),
        ([*ANSWER, "--name", "my/data"], "--name: got 'my/data'"),
        ([], "got no known columns .EasyR1's problem, answer, images; verl's .*its fields: question, answer, image"),
    ],
)
def test_options_that_do_not_fit_are_one_message(tmp_path, options, message):
    source = lines(tmp_path / "my.jsonl", row(box=[1, 2, 3, 4], c=["1"]))
    with pytest.raises(SystemExit, match=message):
        convert(source, tmp_path / "out", *options)


def test_a_source_without_tables_or_with_broken_ones_is_one_message(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="--source: got no table"):
        convert(tmp_path / "empty", tmp_path / "out")
    for name, text in (("a.parquet", "no"), ("a.json", "{"), ("b.json", "{}"), ("a.csv", 'a,b\n"x" y,"z\n')):
        source = write(tmp_path / "broken" / name, text)
        with pytest.raises(SystemExit, match=f"{name}: (expected|got)"):
            convert(source, tmp_path / "out", *ANSWER)


def test_rows_that_cannot_be_read_are_counted(tmp_path):
    write(tmp_path / "a.png", encoded())
    bad = ["{", "[1]", json.dumps({"answer": "5", "image": "a.png"}), json.dumps(row(answer=["1", "2"])), ""]
    source = write(tmp_path / "my.jsonl", "\n".join([json.dumps(row(answer=7)), *bad, json.dumps(row(image=None))]))
    rows, rejects = convert(source, tmp_path / "out", *ANSWER)
    assert golds(rows) == ["7"] and rows[0]["extra_info"]["id"] == "my.jsonl:1"
    assert Counter(reject["reason"] for reject in rejects) == Counter(
        ["json_malformed", "row_malformed", "question_empty", "answer_not_unique", "text_only"]
    )
    assert {reject["source"] for reject in rejects} == {f"my.jsonl:{number}" for number in (2, 3, 4, 5, 7)}


# -- images ------------------------------------------------------------------------------------------------------------

TEXT = base64.b64encode(encoded()).decode()


@pytest.mark.parametrize(
    ("item", "content"),
    [
        (b"\x89", b"\x89"),
        ({"bytes": b"\x89", "path": "a.png"}, b"\x89"),
        ({"bytes": None, "path": "a.png"}, "a.png"),
        ({"bytes": TEXT}, encoded()),
        ({"image": "file:///b/a.png"}, "file:///b/a.png"),
        (TEXT, encoded()),
        (f"data:image/jpeg;base64,{TEXT}", encoded()),
        ("data:image/png;base64,???", b""),
        (f"/9j/{'images/' * 12}a.png", f"/9j/{'images/' * 12}a.png"),  # begins as base64 of a JPEG does
        ("R0lGOD", "R0lGOD"),
        ("  ", None),
        ({}, None),
        (5, None),
    ],
)
def test_what_an_image_may_be(item, content):
    assert image_content(item) == content


def test_images_of_a_field_are_one_or_a_list():
    assert image_items('["a.png", "b.png"]') == ["a.png", "b.png"] and image_items("[a].png") == ["[a].png"]
    assert image_items(None) == image_items("") == image_items([]) == []


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_every_kind_of_image_in_every_kind_of_file(tmp_path, kind):
    """Three rows: two images of which one is in another field, base64, and a file below --image-root, in an archive."""
    first, second, third = (encoded(shade=n, form="PNG") for n in range(3))
    write(tmp_path / "raw" / "pictures" / "a.png", first)
    zipped(tmp_path / "more" / "packed.zip", {"deep/c.png": third})
    inline = base64.b64encode(second).decode()
    rows = [
        row(question="<image>How many more than in <image>?", image="pictures/a.png", other=inline),
        row(image=inline, other=None),
        row(image="deep/c.png", other=None),
    ]
    source = tmp_path / "raw" / f"my.{kind}"
    if kind == "jsonl":
        lines(source, *rows)
    elif kind == "json":
        write(source, json.dumps(rows))
    elif kind == "csv":
        table = [list(rows[0]), *([value or "" for value in each.values()] for each in rows)]
        write(source, "\n".join(",".join(cells) for cells in table))
    else:
        write_table(source, rows)
    options = [*ANSWER, "--image", "other", "--image-root", tmp_path / "more"]
    written, rejects = convert(source, tmp_path / "out", *options)
    assert rejects == []
    assert [[image["bytes"] for image in each["images"]] for each in written] == [[first, second], [second], [third]]


def test_bytes_of_a_parquet_file_in_a_nested_list(tmp_path):
    kind = pa.struct([("pictures", pa.list_(IMAGE_STRUCT))])
    schema = pa.schema([("question", pa.string()), ("answer", pa.int64()), ("shown", kind)])
    pictures = [encoded(shade=n) for n in range(5)]
    rows = [
        {"question": f"{n}?", "answer": n, "shown": {"pictures": [{"bytes": data, "path": None}] * 2}}
        for n, data in enumerate(pictures)
    ]
    write_table(tmp_path / "train-00000-of-00001.parquet", rows, schema)
    options = ["--question", "question", "--answer", "answer", "--image", "shown.pictures"]
    written, rejects = convert(tmp_path, tmp_path / "out", *options)
    assert rejects == [] and golds(written) == ["0", "1", "2", "3", "4"]
    assert [each["images"][1]["bytes"] for each in written] == pictures
    written, _ = convert(tmp_path, tmp_path / "one", *options[:-1], "shown.pictures.1")
    assert [len(each["images"]) for each in written] == [1] * 5


# -- splits, duplicates, resuming --------------------------------------------------------------------------------------


def test_files_of_a_folder_have_the_splits_of_their_names_and_an_output_in_it_is_not_read(tmp_path, capsys):
    write(tmp_path / "a.png", encoded())
    lines(tmp_path / "train.jsonl", row(question="1?"), row(question="2?"))
    lines(tmp_path / "my_val.jsonl", row(question="3?"))
    write(tmp_path / "notes.json", ' [{"a": 1}]')
    write(tmp_path / "dataset_infos.json", '{"a": 1}')
    for _ in range(2):
        rows, _ = convert(tmp_path, tmp_path / "out", *ANSWER)
        assert sorted(each["extra_info"]["split"] for each in rows) == ["train", "train", "val"]
    printed = capsys.readouterr().out
    assert printed.count("notes.json is not read: it has no field question, answer, image") == 2
    assert printed.count("is not read") == 2  # nothing of the first run's output
    with pytest.raises(SystemExit, match="--val-fraction: got 0.5 and files of val"):
        convert(tmp_path, tmp_path / "other", *ANSWER, "--val-fraction", "0.5")


def test_drawn_rows_share_no_image_with_the_others():
    images = [[str(n // 2)] for n in range(40)] + [["0", "1"], ["7", "x"]]
    for seed in range(5):
        drawn = drawn_rows(images, 0.25, seed)
        shown = {name for number in drawn for name in images[number]}
        assert not shown & {name for number in set(range(42)) - drawn for name in images[number]}
        assert 10.5 <= len(drawn) <= 15 and drawn == drawn_rows(images, 0.25, seed)
    assert len({tuple(sorted(drawn_rows(images, 0.25, seed))) for seed in range(5)}) > 1
    with pytest.raises(SystemExit, match="--val-fraction: got 0.1 of 3 rows in 1 groups"):
        drawn_rows([["a"], ["a", "b"], ["b"]], 0.1, 0)


def test_the_same_bytes_in_a_parquet_file_are_one_image_to_the_draw(tmp_path):
    kind = pa.schema([("problem", pa.string()), ("answer", pa.string()), ("images", pa.list_(IMAGE_STRUCT))])
    rows = [
        {"problem": f"{n}?", "answer": "1", "images": [{"bytes": encoded(shade=n % 4), "path": None}]}
        for n in range(16)
    ]
    write_table(tmp_path / "my.parquet", rows, kind)
    out = tmp_path / "out"
    written, _ = convert(tmp_path / "my.parquet", out, "--val-fraction", "0.2")
    assert Counter(each["extra_info"]["split"] for each in written) == {"train": 12, "val": 4}
    main(["check", str(out / "train.parquet"), str(out / "val.parquet")])  # would end with 1 if an image were in both


def test_rows_that_occur_twice_are_written_once(tmp_path):
    for name, shade in (("a.png", 0), ("b.png", 0), ("c.png", 3)):
        write(tmp_path / name, encoded(shade=shade))
    rows = [row(), row(), row(answer="6"), row(image="c.png"), row(id="x"), row(id="y"), row(id="x")]
    source = lines(tmp_path / "my.jsonl", *rows)
    written, rejects = convert(source, tmp_path / "out", *ANSWER, "--id", "id")
    assert [each["extra_info"]["id"] for each in written] == ["my.jsonl:1", "my.jsonl:3", "my.jsonl:4", "x", "y"]
    assert [(r["source"], r["reason"]) for r in rejects] == [
        ("my.jsonl:2", "duplicate"),
        ("my.jsonl:7", "duplicate"),
    ]


def test_other_options_convert_anew_and_the_same_ones_do_not(tmp_path):
    write(tmp_path / "a.png", encoded(size=(WIDTH, HEIGHT)))
    source = lines(tmp_path / "my.jsonl", row(box=[10, 20, 30, 40]))
    out = tmp_path / "out"
    ((first,), _), before = convert(source, out, *BOX, "pixels", "--box-format", "xyxy"), (out / "train.parquet").stat()
    convert(source, out, *BOX, "pixels", "--box-format", "xyxy")
    assert (out / "train.parquet").stat().st_ino == before.st_ino
    ((second,), _) = convert(source, out, *BOX, "pixels", "--box-format", "xywh")
    assert golds([first, second]) == ["[10, 20, 30, 40]", "[10, 20, 40, 60]"]
