"""The user's own rows as they lie on disks: copies and links of pictures, other encodings, late fields, folders."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from data_fixtures import encoded, write, write_table, zipped
from own_rows import ANSWER, convert, golds, lines, row

from data_prep.__main__ import main
from data_prep.raw.split_names import split_of_file
from data_prep.row.choices import with_choices

# -- pictures ----------------------------------------------------------------------------------------------------------


def test_copies_of_a_picture_are_one_picture_to_the_draw_and_to_duplicates(tmp_path):
    """Twenty names of five pictures, as files, members of an archive and bytes in the row; one row is there twice."""
    pictures = [encoded(shade=10 * n, form="PNG") for n in range(5)]
    for n in range(10):
        write(tmp_path / "pictures" / f"{n}.png", pictures[n % 5])
    zipped(tmp_path / "packed.zip", {f"packed/{n}.png": pictures[n % 5] for n in range(10, 20)})
    rows = [row(question=f"{n}?", image=f"{'pictures' if n < 10 else 'packed'}/{n}.png") for n in range(20)]
    lines(tmp_path / "my.jsonl", *rows, row(question="0?", image="pictures/5.png"))
    out = tmp_path / "out"
    written, rejects = convert(tmp_path, out, *ANSWER, "--val-fraction", "0.3")
    assert Counter(each["extra_info"]["split"] for each in written) == {"train": 12, "val": 8}
    assert [(reject["source"], reject["reason"]) for reject in rejects] == [("my.jsonl:21", "duplicate")]
    main(["check", str(out / "train.parquet"), str(out / "val.parquet")])  # would end with 1 if a picture were in both


def test_two_pictures_of_one_name_and_size_are_ambiguous_and_copies_are_not(tmp_path):
    bitmaps = {shade: encoded(size=(30, 30), form="BMP", shade=shade) for shade in (0, 9)}
    write(tmp_path / "a" / "1.bmp", bitmaps[0])
    write(tmp_path / "b" / "1.bmp", bitmaps[9])
    zipped(tmp_path / "c.zip", {"x/2.bmp": bitmaps[0], "y/2.bmp": bitmaps[9]})
    write(tmp_path / "a" / "3.bmp", bitmaps[0])
    write(tmp_path / "b" / "3.bmp", bitmaps[0])
    zipped(tmp_path / "d.zip", {"x/4.bmp": bitmaps[0], "y/4.bmp": bitmaps[0]})
    source = lines(tmp_path / "my.jsonl", *(row(question=f"{n}?", image=f"{n}.bmp") for n in (1, 2, 3, 4)))
    written, rejects = convert(source, tmp_path / "out", *ANSWER, "--image-root", tmp_path)
    assert [reject["reason"] for reject in rejects] == ["image_ambiguous", "image_ambiguous"]
    assert [each["extra_info"]["question"] for each in written] == ["3?", "4?"]


def test_links_to_folders_give_no_row_twice(tmp_path):
    source = tmp_path / "source"
    write(source / "v1" / "a.png", encoded())
    lines(source / "v1" / "my.jsonl", row())
    (source / "current").symlink_to("v1")
    (source / "v1" / "self").symlink_to(".")
    (source / "v1" / "up").symlink_to("..")
    (source / "gone.jsonl").symlink_to("nowhere.jsonl")
    with pytest.raises(SystemExit, match=r"gone.jsonl: cannot be read"):
        convert(source, tmp_path / "out", *ANSWER)
    (source / "gone.jsonl").unlink()
    written, rejects = convert(source, tmp_path / "out", *ANSWER)
    assert len(written) == 1 and rejects == []
    assert written[0]["extra_info"]["id"] == "my.jsonl:1"


def test_links_to_pictures_that_are_gone_are_counted(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "z.png").symlink_to("nowhere.png")
    write(tmp_path / "a.png", encoded())
    source = lines(tmp_path / "my.jsonl", row(), row(question="2?", image="z.png"))
    written, rejects = convert(source, tmp_path / "out", *ANSWER, "--image-root", tmp_path)
    assert len(written) == 1 and [reject["reason"] for reject in rejects] == ["image_missing"]


def test_pictures_of_two_columns_are_read_once_a_row_group(tmp_path):
    from data_prep.raw.parquet_files import parquet_group

    rows = [{**row(question=f"{n}?"), "image": encoded(shade=n), "other": encoded(shade=n + 90)} for n in range(8)]
    write_table(tmp_path / "my.parquet", rows, row_group_size=4)
    parquet_group.cache_clear()
    written, _ = convert(tmp_path, tmp_path / "out", *ANSWER, "--image", "other")
    assert [len(each["images"]) for each in written] == [2] * 8 and parquet_group.cache_info().misses == 2


def test_pictures_in_many_csv_files_are_read_file_by_file(tmp_path, monkeypatch):
    """Rows whose pictures are in one file stay together, so that each file is parsed once in listing and once after."""
    import base64

    from data_prep.raw import tables

    for n in range(4):
        picture = base64.b64encode(encoded(shade=n)).decode()
        cells = ["question,answer,image", *(f"{n} {k}?,5,{picture}" for k in range(6))]
        write(tmp_path / f"{n}.csv", "\n".join(cells))
    read = []
    monkeypatch.setattr(tables, "decoded", lambda data, path, plain=tables.decoded: read.append(path) or plain(data))
    written, _ = convert(tmp_path, tmp_path / "out", *ANSWER)
    assert len(written) == 24 and len(read) <= 3 * 4


# -- texts -------------------------------------------------------------------------------------------------------------


def test_texts_stored_as_bytes_are_texts(tmp_path):
    write(tmp_path / "a.png", encoded())
    schema = pa.schema([("question", pa.binary()), ("answer", pa.binary()), ("image", pa.string())])
    rows = [row(question="Größe?".encode(), answer=b"5"), row(question=b"\xff\xfe\xfa?", answer=b"5")]
    write_table(tmp_path / "my.parquet", rows, schema)
    written, rejects = convert(tmp_path / "my.parquet", tmp_path / "out", *ANSWER)
    assert golds(written) == ["5"] and written[0]["extra_info"]["question"] == "Größe?"
    assert [reject["reason"] for reject in rejects] == ["row_malformed"] and "UTF-8" in rejects[0]["detail"]


@pytest.mark.parametrize(
    ("encoding", "question", "told"),
    [
        ("utf-8", "Größe?", None),
        ("utf-8-sig", "Größe?", None),
        ("utf-16", "Größe?", None),
        ("cp1252", "Größe?", "read as cp1252"),
        ("shift-jis", "円は何個？", "read as Latin-1"),
    ],
)
def test_a_guessed_encoding_is_told(tmp_path, capsys, encoding, question, told):
    write(tmp_path / "a.png", encoded())
    source = write(tmp_path / "my.csv", f"question,answer,image\n{question},5,a.png\n".encode(encoding))
    written, _ = convert(source, tmp_path / "out", *ANSWER)
    printed = capsys.readouterr().out
    if told is None or encoding == "cp1252":
        assert written[0]["extra_info"]["question"] == question
    assert (told is None and "UTF-8" not in printed) or f"my.csv is not UTF-8, and was {told}" in printed


def test_lines_in_utf_16_are_refused(tmp_path):
    source = write(tmp_path / "my.jsonl", json.dumps(row()).encode("utf-16"))
    with pytest.raises(SystemExit, match="my.jsonl: got lines in UTF-16, expected UTF-8"):
        convert(source, tmp_path / "out", *ANSWER)


def test_json_lines_may_be_named_json(tmp_path):
    write(tmp_path / "a.png", encoded())
    text = "\n".join(json.dumps(row(question=f"{n}?")) for n in range(3))
    written, rejects = convert(
        write(tmp_path / "one" / "my.json", text), tmp_path / "a", *ANSWER, "--image-root", tmp_path
    )
    assert len(written) == 3 and rejects == []
    written, rejects = convert(tmp_path / "one", tmp_path / "b", *ANSWER, "--image-root", tmp_path)
    assert len(written) == 3 and rejects == []


def test_a_list_with_a_byte_order_mark_is_found_in_a_folder(tmp_path):
    write(tmp_path / "a.png", encoded())
    text = "\ufeff" + json.dumps([row(question="ä" * 40 + "?")], ensure_ascii=False)
    write(tmp_path / "my.json", text)
    written, _ = convert(tmp_path, tmp_path / "out", *ANSWER)
    assert len(written) == 1


# -- fields and splits -------------------------------------------------------------------------------------------------


def test_a_field_may_first_occur_late(tmp_path):
    write(tmp_path / "a.png", encoded())
    rows = [row(question=f"{n}?", **({"choices": ["5", "6"]} if n >= 150 else {})) for n in range(200)]
    source = lines(tmp_path / "my.jsonl", *rows)
    written, rejects = convert(source, tmp_path / "out", *ANSWER, "--choices", "choices")
    assert len(written) == 200 and rejects == []
    assert sum(each["extra_info"]["choices"] is not None for each in written) == 50
    with pytest.raises(SystemExit, match="got --choices options, expected fields of the file"):
        convert(source, tmp_path / "other", *ANSWER, "--choices", "options")


def test_a_table_without_a_row_that_can_be_read_is_refused_and_not_left_out(tmp_path):
    write(tmp_path / "a.png", encoded())
    lines(tmp_path / "train.jsonl", row())
    write(tmp_path / "val.jsonl", json.dumps(row(), indent=1))
    with pytest.raises(SystemExit, match="val.jsonl: got no row that can be read .val.jsonl:1: .*; mend the file"):
        convert(tmp_path, tmp_path / "out", *ANSWER)


def test_folders_of_splits_are_splits_and_other_files_are_told(tmp_path, capsys):
    write(tmp_path / "a.png", encoded())
    for name in ("train/metadata.jsonl", "validation/metadata.jsonl", "Test/metadata.jsonl", "dev.jsonl", "more.jsonl"):
        lines(tmp_path / name, row(question=f"{name}?"))
    written, rejects = convert(tmp_path, tmp_path / "out", *ANSWER, "--image-root", tmp_path)
    assert rejects == []
    splits = Counter(each["extra_info"]["split"] for each in written)
    assert splits == {"train": 2, "val": 2, "test": 1}
    assert "no split in the name, so taken for train: more.jsonl" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("valid.csv", "val"), ("my-dev.jsonl", "val"), ("Test.jsonl", "test"), ("TRAIN.json", "train"),
        ("refcoco_testA.parquet", "testA"), ("training.csv", "train"), ("latest.csv", ""), ("device.csv", ""),
    ],
)  # fmt: skip
def test_splits_in_names_of_files(name, split):
    assert split_of_file(Path(name)) == split


def test_a_source_below_the_output_folder_is_read_and_the_folder_itself_is_refused(tmp_path):
    write(tmp_path / "raw" / "a.png", encoded())
    lines(tmp_path / "raw" / "my.jsonl", row())
    written, _ = convert(tmp_path / "raw", tmp_path, *ANSWER)
    assert len(written) == 1
    with pytest.raises(SystemExit, match="--out: got .*, the folder of --source, expected another one"):
        convert(tmp_path / "raw", tmp_path / "raw", *ANSWER)


# -- choices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "choices", "is_listed"),
    [
        ("There are 12 cats in 3 rooms. Which number is drawn?", ["1", "2", "3"], False),
        ("In 1 room are 2 cats and 3 dogs. Which number?", ["1", "2", "3"], False),
        ("Which word is written on the other sign?", ["he", "the", "on"], False),
        ("Which?\nA. cat\nB. dog", ["cat", "dog"], True),
        ("Which? (A) $3$ (B) $4$", ["3", "4"], True),
        ("Is it red, green or blue?", ["red", "green", "blue"], True),
        ("Choices: A: 1 B: 2 C: 3", ["1", "2", "3"], True),
        ("Is it red, green or blue?", ["blue", "red", "green"], False),
    ],
)
def test_choices_are_left_out_of_the_prompt_only_if_the_question_lists_them(question, choices, is_listed):
    shown = with_choices(question, choices)
    assert shown == question if is_listed else shown.splitlines()[-1] == f"{'ABC'[len(choices) - 1]}. {choices[-1]}"


def test_rows_that_differ_in_their_choices_are_not_duplicates(tmp_path):
    write(tmp_path / "a.png", encoded())
    rows = [row(answer="A", choices=choices) for choices in (["cat", "dog"], ["dog", "cat"], ["cat", "dog"])]
    source = lines(tmp_path / "my.jsonl", *rows)
    written, rejects = convert(source, tmp_path / "out", *ANSWER, "--choices", "choices")
    assert len(written) == 2 and [reject["reason"] for reject in rejects] == ["duplicate"]


@pytest.mark.parametrize("name", ["shapes", "shapes-reasoning"])
def test_synthetic_data_refuse_bad_counts_and_folders(tmp_path, name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--out", str(tmp_path / "out"), "--train", "-4"])
    assert "got -4, expected 0 or more" in capsys.readouterr().err
    file = write(tmp_path / "file", "")
    with pytest.raises(SystemExit, match="Not a directory"):
        main([name, "--out", str(file), "--train", "1", "--val", "0"])
    assert os.path.isfile(file)
