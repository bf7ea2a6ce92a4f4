"""Conversion runs: the same rows however they are divided, one message for each error, the table."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conversions import command, content, rows_of, write_refcoco
from data_fixtures import (
    MMK12_SCHEMA,
    diagram,
    encoded,
    eureka_row,
    mmk12_row,
    python2_pickle,
    refer_folder,
    write,
    write_table,
    zipped,
)

from data_prep.__main__ import main
from data_prep.convert import plan
from data_prep.datasets import DATA_SETS
from data_prep.raw.files import Files
from data_prep.raw.pickles import parse_plain
from data_prep.row.schema import ROWS_PER_GROUP, file_schema, row_schema
from data_prep.types import RawRow, Rejection

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_refcoco(tmp_path_factory.mktemp("refer"))


def test_all_files_have_the_schema_of_the_other_data_sets(source, tmp_path):
    main(command(source, tmp_path))
    assert sorted(content(tmp_path)) == ["rejects.jsonl", "report.json", "train.parquet", "val.parquet"]
    for name in ("train", "val"):
        schema = pq.read_schema(tmp_path / f"{name}.parquet")
        assert schema.equals(row_schema()) and schema.metadata == file_schema().metadata


def test_processes_and_the_size_of_parts_do_not_change_a_row(source, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PART_ROWS", 100)
    main(command(source, tmp_path / "one"))
    main([*command(source, tmp_path / "two"), "--processes", "2"])
    assert content(tmp_path / "one") == content(tmp_path / "two")
    monkeypatch.setattr(plan, "PART_ROWS", 64)
    main(command(source, tmp_path / "small"))
    assert rows_of(tmp_path / "small") == rows_of(tmp_path / "one")
    assert (tmp_path / "small" / "rejects.jsonl").read_bytes() == (tmp_path / "one" / "rejects.jsonl").read_bytes()


def test_shards_hold_the_same_rows_in_the_same_order(source, tmp_path):
    main(command(source, tmp_path / "one"))
    main(command(source, tmp_path / "three", "--shards", "3"))
    names = [f"train-{n:05d}-of-00003.parquet" for n in range(3)]
    assert [path.name for path in sorted((tmp_path / "three").glob("train*"))] == names
    assert rows_of(tmp_path / "three", "train*") == rows_of(tmp_path / "one", "train*")


def test_the_seed_orders_images_and_draws_rows(source, tmp_path):
    for name, options in {"a": [], "b": ["--seed", "1"], "c": ["--max-rows", "40"], "d": ["--max-rows", "40"]}.items():
        main(command(source, tmp_path / name, *options))
    a, b, c, d = (rows_of(tmp_path / name, "train*") for name in "abcd")
    by_id = {row["extra_info"]["id"]: row for row in a}
    assert a != b and by_id == {row["extra_info"]["id"]: row for row in b}
    assert c == d and 25 < len(c) <= 40  # a seventh of the images is missing
    assert all(by_id[row["extra_info"]["id"]] == row for row in c)
    assert len({row["extra_info"]["image_sha256"] for row in c}) > 15  # drawn from all rows, not from the first images


def test_rows_of_one_image_stand_together_and_its_bytes_stand_once_in_a_row_group(source, tmp_path):
    main(command(source, tmp_path))
    path = tmp_path / "train.parquet"
    rows = rows_of(tmp_path, "train*")
    hashes = [row["extra_info"]["image_sha256"] for row in rows]
    changes = sum(a != b for a, b in zip(hashes, hashes[1:], strict=False))
    assert changes == len(set(hashes)) - 1
    distinct = {row["extra_info"]["image_sha256"]: len(row["images"][0]["bytes"]) for row in rows}
    assert len(rows) == 10 * len(distinct)
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert groups == [ROWS_PER_GROUP] * (len(rows) // ROWS_PER_GROUP) + [len(rows) % ROWS_PER_GROUP]
    assert path.stat().st_size < 1.3 * sum(distinct.values())


def test_images_of_one_row_group_end_it_early_when_they_are_large(source, tmp_path, monkeypatch):
    import data_prep.convert.parquet_groups

    monkeypatch.setattr(data_prep.convert.parquet_groups, "GROUP_BYTES", 1_000_000)
    main(command(source, tmp_path))
    metadata = pq.read_metadata(tmp_path / "train.parquet")
    rows = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert max(rows) < 60  # 1,000,000 bytes of 20,000 each are at most 50 rows


def test_a_system_message_stands_before_the_question(source, tmp_path):
    (tmp_path / "system.txt").write_text("Be brief.")
    main(command(source, tmp_path / "out", "--template", "boxed", "--system", str(tmp_path / "system.txt")))
    for row in rows_of(tmp_path / "out"):
        system, user = row["prompt"]
        assert system == {"role": "system", "content": "Be brief."}
        assert user["role"] == "user" and user["content"].startswith("<image>") and "\\boxed" in user["content"]


def test_the_table_and_the_reject_report(source, tmp_path, capsys):
    main(command(source, tmp_path))
    printed = capsys.readouterr().out
    # 60 images, 10 rows each; val: images 0, 10, ..., 50; missing: 3, 10, 17, 24, 31, 38, 45, 52, 59
    words = [line.split() for line in printed.splitlines()]
    assert ["train", "540", "460", "80", "46"] in [line[:5] for line in words]  # 54 images, 8 of the missing
    assert ["val", "60", "50", "10", "5"] in [line[:5] for line in words]
    assert ["rejected", "90", "image_missing:"] in [line[:3] for line in words]
    assert "OF 120624 PUBLISHED" in printed and "testA     not in the source; 5657 rows are published" in printed
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert len(rejects) == 90 and {reject["reason"] for reject in rejects} == {"image_missing"}
    assert rejects[0]["source"].startswith("refs(unc).p#") and "COCO_train2014_" in rejects[0]["detail"]


def test_a_full_split_is_told_from_an_incomplete_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(DATA_SETS["refcoco"].published, "refer/unc", {"train": 4, "val": 2})
    main(command(refer_folder(tmp_path / "refer"), tmp_path / "out"))
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()}
    assert lines["train"].endswith("as published") and lines["val"].endswith("OF 2 PUBLISHED")


def test_paths_instead_of_bytes(tmp_path):
    rows = [eureka_row(n, f"<image>{n}?", "1", name) for n, name in enumerate(["K12/a.jpg", "K12/b.png", "Z/c.jpg"])]
    write(tmp_path / "raw" / "dataset.jsonl", "\n".join(map(json.dumps, rows)))
    plain = write(tmp_path / "raw" / "K12" / "a.jpg", encoded())
    write(tmp_path / "raw" / "K12" / "b.png", diagram())
    zipped(tmp_path / "raw" / "Z.zip", {"Z/c.jpg": encoded(shade=9)})
    main(["mm-eureka", "--source", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "--images", "path"])
    images = {row["extra_info"]["id"]: row["images"][0] for row in rows_of(tmp_path / "out")}
    assert all(image["bytes"] is None for image in images.values())
    assert images["0"]["path"] == str(plain)  # usable as it is
    assert Path(images["1"]["path"]).parent == tmp_path / "out" / "images"  # was transparent
    assert Path(images["2"]["path"]).read_bytes() == encoded(shade=9)  # was in an archive


def test_an_image_budget_keeps_boxes_in_original_pixels(source, tmp_path):
    main(command(source, tmp_path, "--image-budget", "3000"))
    row = rows_of(tmp_path)[0]
    assert row["reward_model"]["ground_truth"] == "[10, 20, 40, 60]"
    assert (row["extra_info"]["orig_w"], row["extra_info"]["orig_h"]) == (120, 90)
    assert len(row["images"][0]["bytes"]) < 20_000


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({}, [], "has none of the expected forms"),
        ({"refcoco_train.json": "[]"}, [], "no rows in the form vlm-r1"),
        ({"refcoco_train.json": "{}"}, [], "expected a list of rows"),
        ({"refcoco_train.json": "[{}]"}, ["--format", "refer"], "refs"),
        ({"refcoco_train.json": "[{}]"}, [], "were rejected"),
        ({"refcoco_train.json": "[]", "refcoco/refs(unc).p": "x"}, [], "several forms"),
        ({"refcoco/refs(unc).p": "x"}, [], "expected a pickle"),
        ({"a.parquet": "x"}, [], "expected a parquet file"),
        ({"a.zip": "x"}, [], "cannot read the archive"),
        ({"refcoco_train.json": "[{}]"}, ["--template", "absent"], "--template"),
    ],
)
def test_what_cannot_work_ends_with_one_message(tmp_path, files, options, message):
    (tmp_path / "raw").mkdir()
    for name, text in files.items():
        write(tmp_path / "raw" / name, text)
    with pytest.raises(SystemExit, match=message):
        main(command(tmp_path / "raw", tmp_path / "out", *options))
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_a_source_that_does_not_exist(tmp_path):
    with pytest.raises(SystemExit, match="set --source"):
        main(command(tmp_path / "absent", tmp_path / "out"))


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "raw" / "closed").mkdir(parents=True)
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)  # tests may run as root, who may read everything
    with pytest.raises(SystemExit, match="cannot list .*closed: Permission denied"):
        main(command(tmp_path / "raw", tmp_path / "out"))


def test_a_full_disk_ends_with_one_message_and_no_file_that_looks_whole(source, tmp_path, monkeypatch):
    import data_prep.convert.parquet_groups

    def full(self, row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data_prep.convert.parquet_groups.RowGroups, "add", full)
    with pytest.raises(SystemExit, match="No space left on device; make room or choose another --out"):
        main(command(source, tmp_path / "out"))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_an_error_that_no_rule_foresaw_costs_one_row(source, tmp_path, monkeypatch):
    import data_prep.convert.parts

    make_row = data_prep.convert.parts.make_row

    def stumble(sample, *arguments):
        return 1 / 0 if sample.answer == "a 0" else make_row(sample, *arguments)

    monkeypatch.setattr(data_prep.convert.parts, "make_row", stumble)
    main(command(source, tmp_path))
    rejects = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    (other,) = [reject for reject in rejects if reject["reason"] != "image_missing"]
    assert other["reason"] == "unexpected_error" and "ZeroDivisionError" in other["detail"]


def test_blocks_and_groups_stay_together_in_any_order():
    rows = [RawRow("train", str(n), b"{}", group=str(n % 3), block=str(n % 2)) for n in range(60)]
    ordered = plan.in_order(rows, seed=3, max_rows=None)
    keys = [(row.block, row.group) for _, row in ordered]
    assert sorted(index for index, _ in ordered) == list(range(60))
    assert sum(a != b for a, b in zip(keys, keys[1:], strict=False)) == 5  # six runs of one block and group
    assert sum(a[0] != b[0] for a, b in zip(keys, keys[1:], strict=False)) == 1


def test_a_parquet_source_is_read_block_by_block(tmp_path, monkeypatch):
    from data_prep.raw import parquet_files

    image = {"bytes": encoded(), "path": None}
    rows = [mmk12_row(f"k{n}", f"{n}?", "1", image) for n in range(12)]
    write_table(tmp_path / "raw" / "train.parquet", rows, MMK12_SCHEMA, row_group_size=4)
    parquet_files.parquet_group.cache_clear()
    main(["mmk12", "--source", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "--processes", "1"])
    assert parquet_files.parquet_group.cache_info().misses == 3
    assert len(rows_of(tmp_path / "out")) == 12


def test_files_are_found_under_foreign_roots(tmp_path):
    write(tmp_path / "data" / "K12" / "a.png", b"plain")
    write(tmp_path / "data" / "other" / "x.png", b"1")
    write(tmp_path / "data" / "another" / "x.png", b"22")
    zipped(
        tmp_path / "data" / "K12.zip", {"home/me/K12/a.png": b"packed", "home/me/K12/b.png": b"packed", "c.png": b"c"}
    )
    files = Files([tmp_path / "data"])
    plain = str(tmp_path / "data" / "K12" / "a.png")
    packed = [str(tmp_path / "data" / "K12.zip"), "home/me/K12/b.png"]
    assert files.find("K12/a.png") == files.find("file:///mnt/K12/a.png") == files.find("a.png") == plain
    assert files.find("K12\\b.png") == files.find("./K12/b.png") == files.find("/gone/K12/b.png") == packed
    assert files.find("K12/c.png") == [packed[0], "c.png"]  # the archive's name counts as a folder
    assert files.find(plain) == plain
    for name in ("Z/a.png", "K12/z.png", "", "../..", "/etc/nothing"):
        assert files.find(name).reason == "image_missing", name
    assert files.find("x.png").reason == "image_ambiguous"
    assert not isinstance(files.find("other/x.png"), Rejection)


class Evil:
    def __reduce__(self):
        return (os.system, ("true",))


def test_a_pickle_cannot_run_anything(tmp_path):
    import pickle

    path = write(tmp_path / "refs.p", pickle.dumps([Evil()], protocol=2))
    with pytest.raises(SystemExit, match="it asks for posix.system"):
        parse_plain(path.read_bytes(), str(path))
    path.write_bytes(python2_pickle([{"a": "caf\u00e9", "b": [1, None, 2.5]}], 0))
    assert parse_plain(path.read_bytes(), str(path)) == [{"a": "caf\u00e9", "b": [1, None, 2.5]}]


def test_a_row_of_two_splits_is_kept_in_both(tmp_path):
    row = mmk12_row("k0", "1?", "1", {"bytes": encoded(), "path": None})
    for split in ("train", "test"):
        write_table(tmp_path / "raw" / f"{split}.parquet", [row, row], MMK12_SCHEMA)
    main(["mmk12", "--source", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "--processes", "1"])
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [(r["split"], r["reason"]) for r in rejects] == [("test", "duplicate"), ("train", "duplicate")]
    assert [row["extra_info"]["split"] for row in rows_of(tmp_path / "out")] == ["test", "train"]
