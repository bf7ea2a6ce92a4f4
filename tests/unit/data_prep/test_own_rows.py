"""Rows of one's own: their fields, images, boxes, choices and splits, and what is refused."""

import base64
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_fixtures import HEIGHT, IMAGE_STRUCT, WIDTH, encoded, write, write_table, zipped

from data_prep.__main__ import main
from data_prep.raw.field_paths import field_at, field_paths, fields_text
from data_prep.raw.image_values import image_content, image_items
from data_prep.raw_forms.val_split import drawn_rows
from data_prep.row.boxes import parse_boxes
from data_prep.row.choices import answer_among, parse_choices, with_choices
from data_prep.types import Rejection
from reward_fns import auto

ANSWER = ["--question", "question", "--answer", "answer", "--image", "image"]
BOX = ["--question", "question", "--box", "box", "--image", "image", "--box-space"]


def lines(path, *rows):
    return write(path, "\n".join(map(json.dumps, rows)))


def row(**changes):
    return {"question": "How many?", "answer": "5", "image": "a.png", **changes}


def convert(source, out, *options):
    """Return the rows written, in the order of the source, and the rejected ones."""
    try:
        main(["jsonl", "--source", str(source), "--out", str(out), "--processes", "1", *map(str, options)])
    except SystemExit as end:
        if not (out / "rejects.jsonl").exists():
            raise
        assert "rejected" in str(end)
    rows = [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda row: row["extra_info"]["index"]), rejects


def golds(rows):
    return [row["reward_model"]["ground_truth"] for row in rows]


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


# -- boxes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "form", "space", "gold"),
    [
        ([10, 20, 40, 60], "xyxy", "pixels", [10, 20, 40, 60]),
        ([10, 20, 30, 40], "xywh", "pixels", [10, 20, 40, 60]),
        ([100, 200, 500, 1000], "xyxy", "0-1000", [12, 18, 60, 90]),  # of 120 x 90 pixels
        ([0.25, 0.5, 0.5, 0.5], "xywh", "0-1", [30, 45, 90, 90]),
        ([[1, 2, 30, 40], [50, 60, 70, 80]], "xyxy", "pixels", [[1, 2, 30, 40], [50, 60, 70, 80]]),
        ([[1, 2, 30, 40]], "xyxy", "pixels", [1, 2, 30, 40]),
        ("[[0, 0, 500, 500]]", "xyxy", "0-1000", [0, 0, 60, 45]),
        ([], "xyxy", "pixels", []),
    ],
)
def test_boxes_become_pixels_and_their_reward_pays_them(tmp_path, box, form, space, gold):
    write(tmp_path / "a.png", encoded())
    source = lines(tmp_path / "my.jsonl", row(box=box))
    (written,), _ = convert(source, tmp_path / "out", *BOX, space, "--box-format", form)
    (text,) = golds([written])
    assert json.loads(text) == gold and written["data_source"] == "grounding/own"
    assert written["prompt"][0]["content"].startswith("<image>How many? First output the thinking")
    result = auto.compute_score(written["data_source"], f"<answer>{text}</answer>", text, written["extra_info"])
    assert (result["iou"], result["accuracy"]) == (1, 1)


@pytest.mark.parametrize(
    ("box", "space", "reason"),
    [
        ([10, 20, 40, 60], "0-1", "box_outside_image"),
        ([10, 20, 400, 600], "pixels", "box_outside_image"),
        ([0.1, 0.2, 0.5, 0.6], "pixels", "box_not_in_pixels"),
        ([0.1, 0.2, 0.5, 0.6], "0-1000", "box_not_in_pixels"),
        ([[1, 2, 30, 40], [1, 2, 3]], "pixels", "box_malformed"),
        (None, "pixels", "box_malformed"),
        ({"x": 1}, "pixels", "box_malformed"),
        ([[10, 20, 40, 60]] * 65, "pixels", "unearnable_gold"),  # more than the reward matches
    ],
)
def test_boxes_that_do_not_fit_are_rejected(tmp_path, box, space, reason):
    write(tmp_path / "a.png", encoded())
    rows = [row(box=box), row(box=[1, 2, 3, 4], question="Where?")]
    _, rejects = convert(lines(tmp_path / "my.jsonl", *rows), tmp_path / "out", *BOX, space, "--box-format", "xyxy")
    assert rejects[0]["source"] == "my.jsonl:1" and rejects[0]["reason"] == reason


def test_an_expression_is_asked_as_refcocos_are(tmp_path):
    write(tmp_path / "a.png", encoded())
    source = lines(tmp_path / "my.jsonl", row(question=" The  <image> red Dog."), row(question=" "))
    options = ["--expression", "question", "--box", "box", "--image", "image", "--box-space", "0-1"]
    lines(tmp_path / "my.jsonl", *(json.loads(line) | {"box": [0, 0, 0.5, 0.5]} for line in source.open()))
    (written,), rejects = convert(source, tmp_path / "out", *options, "--box-format", "xyxy")
    asked = "<image>Please provide the bounding box coordinate of the region this sentence describes: "
    assert written["prompt"][0]["content"].startswith(f"{asked}The < image> red Dog. First output")
    assert [reject["reason"] for reject in rejects] == ["question_empty"]


def test_parse_boxes_reads_prose_with_one_list_as_before():
    assert parse_boxes("at [1, 2, 3, 4]", "xywh") == ((1, 2, 4, 6),)
    assert isinstance(parse_boxes("[1, 2, 3, 4] or [5, 6, 7, 8]", "xyxy"), Rejection)


# -- choices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        (["1", 2], ("1", "2")),
        ('["1", "2"]', ("1", "2")),
        ({"A": "1", "B": "2", "C": None}, ("1", "2")),
        ('{"a": "1"}', ("1",)),
        (None, None),
        ("", None),
        ([], None),
    ],
)
def test_choices_are_a_list_or_by_letter(value, choices):
    assert parse_choices(value) == choices


@pytest.mark.parametrize("value", ["A or B", {"B": "1", "A": "2"}, {"x": 1}, 5, "5"])
def test_what_is_no_list_of_choices(value):
    assert parse_choices(value).reason == "row_malformed"


def test_the_answer_is_a_choice_or_its_letter():
    choices = ("dog", "Cat", "$\\frac{1}{2}$")
    assert [answer_among(choices, text) for text in ("b", "(C)", "A.", "cat", "\\frac{1}{2}")] == [
        "B", "C", "A", "cat", "\\frac{1}{2}",
    ]  # fmt: skip
    for text in ("1", "D", "bird", "AB", "é"):  # 1 counts from 0 or from 1
        assert answer_among(choices, text).reason == "answer_no_choice"
    assert answer_among(choices, "").reason == "answer_empty"


def test_choices_are_listed_unless_the_question_has_them():
    assert with_choices("Which?", ("dog", "cat")) == "Which?\nA. dog\nB. cat"
    assert with_choices("A) dog B) cat?", ("dog", "cat")) == "A) dog B) cat?"


def test_rows_with_choices_are_paid_by_letter_and_by_value(tmp_path):
    write(tmp_path / "a.png", encoded())
    choices = ["dog", "cat", "bird"]
    source = lines(
        tmp_path / "my.jsonl",
        row(question="Which?", answer="b", options=choices),
        row(question="What?", answer="bird", options=choices),
        row(question="How?", answer=1, options=choices),
        row(question="How many legs?", answer=4, options=None),
    )
    rows, rejects = convert(source, tmp_path / "out", *ANSWER, "--choices", "options")
    assert golds(rows) == ["B", "bird", "4"] and [reject["reason"] for reject in rejects] == ["answer_no_choice"]
    assert rows[0]["prompt"][0]["content"].startswith("<image>Which?\nA. dog\nB. cat\nC. bird Think first")
    assert rows[2]["extra_info"]["choices"] is None
    for row_number, right, wrong in ((0, ("B", "cat"), ("A", "bird")), (1, ("C", "bird"), ("B", "cat"))):
        info, gold = rows[row_number]["extra_info"], golds(rows)[row_number]
        for answer in right + wrong:
            response = f"<think>so</think> \\boxed{{{answer}}}"
            assert auto.compute_score("math/own", response, gold, info)["accuracy"] == (answer in right), answer


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
