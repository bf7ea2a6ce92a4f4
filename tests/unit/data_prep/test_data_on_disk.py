"""What folders of real data sets hold besides the rows: copies, halves of archives, other names, pictures elsewhere."""

import json

import pyarrow.parquet as pq
import pytest
from data_fixtures import (
    LMMS_SCHEMA,
    MMK12_SCHEMA,
    coco_name,
    encoded,
    eureka_row,
    intergps_folder,
    intergps_problem,
    jxu_row,
    lmms_row,
    mmk12_row,
    qwen_row,
    ref,
    refer_folder,
    sentence,
    virl_row,
    vlm_r1_line,
    vlm_r1_row,
    write,
    write_table,
    zipped,
)

from data_prep.__main__ import main
from data_prep.datasets import DATA_SETS

BOX = [10, 20, 40, 60]


def convert(out, *argv):
    """Return the rows of each split, and the rejects."""
    main([*map(str, argv), "--out", str(out), "--processes", "1"])
    splits = {path.stem: pq.read_table(path).to_pylist() for path in sorted(out.glob("*.parquet"))}
    return splits, [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]


def ids(rows):
    return sorted(row["extra_info"]["id"] for row in rows)


# ---- two files with the same rows


@pytest.mark.parametrize("name", ["refcoco", "refcoco+", "refcocog"])
def test_a_split_as_json_and_as_json_lines_is_read_once(tmp_path, name, capsys):
    stem = {"refcoco": "refcoco_train", "refcoco+": "refcocop_train", "refcocog": "refcocog_train"}[name]
    rows = [vlm_r1_row(n, n, BOX, f"thing {n}") for n in range(3)]
    lines = [vlm_r1_line(n, f"train2014/{coco_name(n)}", f"thing {n}", BOX) for n in range(3)]
    write(tmp_path / "rec_jsons_processed" / f"{stem}.json", json.dumps(rows))
    write(tmp_path / "rec_jsons_processed" / f"{stem}.jsonl", "\n".join(map(json.dumps, lines)))
    for n in range(3):
        write(tmp_path / "train2014" / coco_name(n), encoded(shade=n))
    splits, rejects = convert(tmp_path / "out", name, "--source", tmp_path)
    assert ids(splits["train"]) == ["0", "1", "2"] and rejects == []
    printed = capsys.readouterr().out
    assert f"{stem}.jsonl is not read: " in printed
    published = DATA_SETS[name].published["vlm-r1/umd" if name == "refcocog" else "vlm-r1/unc"]
    assert f"  OF {published['train']} PUBLISHED" in printed
    single = tmp_path / "rec_jsons_processed" / f"{stem}.jsonl"
    argv = (name, "--source", single, "--image-root", tmp_path / "train2014")
    assert ids(convert(tmp_path / "one", *argv)[0]["train"]) == ["0", "1", "2"]


def test_splits_of_other_names_are_all_read(tmp_path):
    for number, stem in enumerate(("refcoco_train", "refcoco_val", "refcoco_testA")):
        write(tmp_path / f"{stem}.json", json.dumps([vlm_r1_row(number, 3, BOX)]))
    write(tmp_path / coco_name(3), encoded())
    splits, _ = convert(tmp_path / "out", "refcoco", "--source", tmp_path)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 1, "val": 1, "testA": 1}


def test_refgta_under_vlm_r1s_name_is_a_test(tmp_path):
    row = {**vlm_r1_row(1, 3, BOX, "a man in a car"), "image": "images/7.jpg"}
    small = {**row, "solution": [5, 10, 20, 30], "width": 60, "height": 45}
    write(tmp_path / "rec_jsons_processed" / "refgta_subsample.json", json.dumps([row]))
    write(tmp_path / "rec_jsons_processed" / "refgta_subsample_resize.json", json.dumps([small]))
    write(tmp_path / "images" / "7.jpg", encoded())
    splits, rejects = convert(tmp_path / "out", "refgta", "--source", tmp_path)
    assert [row["reward_model"]["ground_truth"] for row in splits["test"]] == ["[10, 20, 40, 60]"] and rejects == []


def test_published_numbers_of_every_form_that_has_them(tmp_path, capsys):
    for data_set in DATA_SETS.values():
        forms = {form.name for form in data_set.forms}
        assert {name.split("/")[0] for name in data_set.published} <= forms
    forms = ("refer", "vlm-r1", "hub-images", "hub-ids")
    assert set(DATA_SETS["refcoco"].published) == {f"{form}/unc" for form in forms}
    write_table(tmp_path / "virl" / "39Krelease.parquet", [virl_row("v", "Sum?", "5", "images/a.png")])
    write(tmp_path / "virl" / "images" / "a.png", encoded(form="PNG"))
    convert(tmp_path / "out", "virl39k", "--source", tmp_path / "virl")
    assert "OF 38870 PUBLISHED" in capsys.readouterr().out


# ---- archives


def _geometry(root, split, first, count=2):
    return intergps_folder(root, {f"{split}/{first + n}": intergps_problem(first + n) for n in range(count)})


def _pack(root, split, folder):
    files = {f"{split}/{path.relative_to(folder / split)}": path.read_bytes() for path in (folder / split).rglob("*.*")}
    return zipped(root / f"{split}.zip", files)


def test_intergps_half_unpacked(tmp_path):
    root = _geometry(tmp_path / "geometry3k", "train", 0)
    _pack(root, "train", root)  # beside the folder that was unpacked from it
    _pack(root, "test", _geometry(tmp_path / "elsewhere", "test", 2401))
    splits, rejects = convert(tmp_path / "out", "geometry3k", "--source", root)
    assert {split: ids(rows) for split, rows in splits.items()} == {"train": ["0", "1"], "test": ["2401", "2402"]}
    assert rejects == []


def test_an_unreadable_archive_stops_its_own_rows_only(tmp_path, capsys):
    rows = [eureka_row("a", "<image>Sum?", "5", "K12/a.png"), eureka_row("b", "<image>Sum?", "6", "MMPR/b.png")]
    write(tmp_path / "dataset.jsonl", "\n".join(map(json.dumps, rows)))
    zipped(tmp_path / "K12.zip", {"K12/a.png": encoded(form="PNG")})
    write(tmp_path / "MMPR.zip", b"PK half of an archive")
    splits, rejects = convert(tmp_path / "out", "mm-eureka", "--source", tmp_path)
    assert ids(splits["train"]) == ["a"]
    assert [(reject["reason"], reject["detail"]) for reject in rejects] == [("image_missing", "MMPR/b.png")]
    assert "cannot read the archive" in capsys.readouterr().out


def test_a_member_that_cannot_be_unpacked_costs_its_problem(tmp_path):
    archive = _pack(tmp_path / "geometry3k", "train", _geometry(tmp_path / "elsewhere", "train", 0))
    data = bytearray(archive.read_bytes())
    position = data.index(b"of problem 1")  # inside the data.json of problem 1, which is stored uncompressed
    data[position] ^= 1  # the checksum no longer fits
    archive.write_bytes(bytes(data))
    splits, rejects = convert(tmp_path / "out", "geometry3k", "--source", tmp_path / "geometry3k")
    assert ids(splits["train"]) == ["0"] and [reject["reason"] for reject in rejects] == ["file_unreadable"]


# ---- names and places of images


@pytest.mark.parametrize("folder", ["train2017", "val2017", "coco/images"])
def test_images_of_train2014_under_their_names_of_2017(tmp_path, folder):
    root = refer_folder(tmp_path / "refer")
    for path in (root / "train2014").iterdir():
        write(tmp_path / folder / path.name.removeprefix("COCO_train2014_"), path.read_bytes())
        path.unlink()
    splits, rejects = convert(tmp_path / "out", "refcoco", "--source", root, "--image-root", tmp_path / folder)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 4, "val": 1, "testA": 1} and rejects == []


def test_rows_with_names_of_2017_find_images_of_train2014(tmp_path):
    row = {**vlm_r1_row(1, 3, BOX), "image": "train2017/000000000003.jpg"}
    write(tmp_path / "json" / "refcoco_train.json", json.dumps([row]))
    write(tmp_path / "train2014" / coco_name(3), encoded())
    argv = ("refcoco", "--source", tmp_path / "json", "--image-root", tmp_path / "train2014")
    assert len(convert(tmp_path / "out", *argv)[0]["train"]) == 1


def test_another_number_is_another_image(tmp_path):
    write(tmp_path / "json" / "refcoco_train.json", json.dumps([vlm_r1_row(1, 3, BOX), vlm_r1_row(2, 4, BOX)]))
    write(tmp_path / "000000000004.jpg", encoded())
    splits, rejects = convert(tmp_path / "out", "refcoco", "--source", tmp_path)
    assert ids(splits["train"]) == ["2"] and [reject["reason"] for reject in rejects] == ["image_missing"]


def test_missing_images_name_the_option_and_the_near_match(tmp_path):
    row = virl_row("v", "Sum?", "5", "images/a.png")
    write_table(tmp_path / "39Krelease.parquet", [row])
    argv = ["virl39k", "--source", str(tmp_path), "--out", str(tmp_path / "out"), "--processes", "1"]
    with pytest.raises(SystemExit, match="such as images/a.png; set --image-root"):
        main(argv)
    write(tmp_path / "pictures" / "a.png", encoded(form="PNG"))
    near = f"images/a.png; {tmp_path.name}/pictures/a.png has its name, but stands in another folder"
    with pytest.raises(SystemExit, match=f"such as {near}; set --image-root"):
        main(argv)


# ---- splits, ids, duplicates


def test_splits_are_chosen_and_an_unknown_one_is_told(tmp_path, capsys):
    root = refer_folder(tmp_path / "refer")
    splits, _ = convert(tmp_path / "out", "refcoco", "--source", root, "--splits", "val", "testA")
    assert sorted(splits) == ["testA", "val"]
    assert "not in the source" not in capsys.readouterr().out  # nobody asked for the others
    with pytest.raises(SystemExit, match="--splits: got testB, expected some of testA, train, val"):
        convert(tmp_path / "none", "refcoco", "--source", root, "--splits", "testB", "val")


def test_rows_without_an_id_get_their_place_in_the_file(tmp_path):
    image = {"bytes": encoded(), "path": None}
    write_table(tmp_path / "k" / "train.parquet", [mmk12_row("", f"{n}?", "5", image) for n in range(3)], MMK12_SCHEMA)
    splits, _ = convert(tmp_path / "a", "mmk12", "--source", tmp_path / "k")
    assert ids(splits["train"]) == [f"train.parquet#{n}" for n in range(3)]  # in row groups of two
    rows = [{key: value for key, value in vlm_r1_row(n, 3, BOX, f"{n}").items() if "id" not in key} for n in range(2)]
    write(tmp_path / "v" / "refcoco_train.json", json.dumps(rows))
    write(tmp_path / "v" / coco_name(3), encoded())
    splits, _ = convert(tmp_path / "b", "refcoco", "--source", tmp_path / "v")
    assert ids(splits["train"]) == ["refcoco_train.json#0", "refcoco_train.json#1"]
    row = {**lmms_row("q", 3, [1, 2, 3, 4], ["a"]), "question_id": None}
    write_table(tmp_path / "h" / "val.parquet", [row], LMMS_SCHEMA)
    splits, _ = convert(tmp_path / "c", "refcoco", "--source", tmp_path / "h")
    assert ids(splits["val"]) == ["val.parquet#0-0"]


def test_a_duplicate_shows_the_same_picture_too(tmp_path):
    fast, small = encoded(form="PNG", compress_level=1), encoded(form="PNG", compress_level=9)
    pictures = [fast, small, encoded(shade=9), None, None, encoded(shade=9)]
    rows = [mmk12_row("k", "Sum?", "5", {"bytes": picture, "path": None}) for picture in pictures]
    write_table(tmp_path / "raw" / "train.parquet", rows, MMK12_SCHEMA)
    splits, rejects = convert(tmp_path / "out", "mmk12", "--source", tmp_path / "raw")
    assert sorted(row["extra_info"]["index"] for row in splits["train"]) == [0, 1]  # fast, and the one of another shade
    places = [(reject["source"], reject["reason"]) for reject in rejects]
    duplicates = [f"train.parquet#{n}" for n in (1, 4, 5)]
    assert places == [*((place, "duplicate") for place in duplicates), ("train.parquet#3", "image_missing")]


# ---- prompts


def test_a_data_set_has_equal_prompts_in_every_raw_form(tmp_path):
    words = ["The Man on the left.", "dog"]
    sentences = [sentence(n, text) for n, text in enumerate(words)]
    for item in sentences:
        item["sent"] = item["sent"].rstrip(".")  # as refer's authors cleaned it
    box = [10.0, 20.0, 30.0, 40.0]
    refer_folder(tmp_path / "refer", refs=[ref(1, 1, 3, "train", *sentences)], boxes={1: (3, box)})
    images = tmp_path / "refer" / "train2014"
    rows = [vlm_r1_row(n, 3, BOX, text) for n, text in enumerate(words)]
    write(tmp_path / "json" / "refcoco_train.json", json.dumps(rows))
    lines = [vlm_r1_line(n, coco_name(3), f"\n{rows[n]['problem']}", BOX) for n in range(2)]
    write(tmp_path / "lines" / "refcoco_train.jsonl", "\n".join(map(json.dumps, lines)))
    write_table(tmp_path / "lmms" / "train.parquet", [lmms_row("q", 3, box, words)], LMMS_SCHEMA)
    write_table(tmp_path / "jxu" / "train.parquet", [jxu_row(1, 3, box, *sentences)])
    prompts = {}
    for name in ("refer", "json", "lines", "lmms", "jxu"):
        argv = ("refcoco", "--source", tmp_path / name, "--image-root", images)
        (rows,) = convert(tmp_path / f"out-{name}", *argv)[0].values()
        prompts[name] = sorted(row["prompt"][0]["content"] for row in rows)
        assert {row["reward_model"]["ground_truth"] for row in rows} == {"[10, 20, 40, 60]"}
    assert len(prompts["refer"]) == 2 and all(texts == prompts["refer"] for texts in prompts.values())


def test_mm_eureka_has_equal_prompts_in_both_forms(tmp_path):
    write(tmp_path / "v1" / "dataset.jsonl", json.dumps(eureka_row("a", "<image>\nSum?", "5", "K12/a.png")))
    write(tmp_path / "qwen" / "qwen.jsonl", json.dumps(qwen_row("a", "Sum?", "5", "K12/a.png")))
    write(tmp_path / "images" / "K12" / "a.png", encoded(form="PNG"))
    prompts = []
    for name in ("v1", "qwen"):
        argv = ("mm-eureka", "--source", tmp_path / name, "--image-root", tmp_path / "images")
        prompts += [row["prompt"] for row in convert(tmp_path / f"out-{name}", *argv)[0]["train"]]
    assert prompts[0] == prompts[1] and prompts[0][0]["content"].startswith("<image>Sum?")
