"""One row of each raw form, exactly as it must be written, and the defects that only that form can have."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_fixtures import (
    HEIGHT,
    IMAGE_STRUCT,
    LMMS_SCHEMA,
    MMK12_SCHEMA,
    WIDTH,
    coco_name,
    diagram,
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
from data_prep.row.images import decode

ASK = "Please provide the bounding box coordinate of the region this sentence describes: "
R1 = (
    " First output the thinking process in <think> </think> tags and then output the final answer in <answer> "
    "</answer> tags. Output the final answer in JSON format."
)
BOXED = " Think first, inside <think> </think> tags, then write the final answer as \\boxed{answer}."


def run(tmp_path, *argv):
    """Return the rows of each split in the order of the source, and the reasons of rejection, ordered by source."""
    out = tmp_path / "out"
    try:
        main([*map(str, argv), "--out", str(out), "--processes", "1"])
    except SystemExit as end:
        assert "were rejected" in str(end)
    splits = {}
    for path in out.glob("*.parquet"):
        rows = pq.read_table(path).to_pylist()
        splits[path.stem] = sorted(rows, key=lambda row: row["extra_info"]["index"])
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    return splits, [reject["reason"] for reject in sorted(rejects, key=lambda reject: reject["source"])]


INTERGPS = ["1", "2.5", "\\sqrt{3}", "4"]
GEOMETRIC = "(GradeSchool) Geometric"


def grounding_row(source, split, index, id, expression, gold, image):
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": "<image>" + ASK + expression + R1}],
        "images": [{"bytes": image, "path": None}],
        "ability": "grounding",
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {
            "split": split,
            "index": index,
            "id": id,
            "question": ASK + expression,
            "answer": expression,
            "orig_w": WIDTH,
            "orig_h": HEIGHT,
            "image_sha256": decode(image).sha256,
            "subject": None,
            "choices": None,
        },
    }


def math_row(source, split, index, id, prompt, answer, gold, image, subject=None, choices=None):
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": prompt + BOXED}],
        "images": [{"bytes": image, "path": None}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {
            "split": split,
            "index": index,
            "id": id,
            "question": prompt.replace("<image>", "").strip(),
            "answer": answer,
            "orig_w": WIDTH,
            "orig_h": HEIGHT,
            "image_sha256": decode(image).sha256,
            "subject": subject,
            "choices": choices,
        },
    }


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize(
    ("name", "by"), [("refcoco", "unc"), ("refcoco", "google"), ("refcoco+", "unc"), ("refcocog", "umd")]
)
def test_refer(tmp_path, name, by, protocol):
    source = refer_folder(tmp_path / "refer", name, by, protocol=protocol)
    splits, rejects = run(tmp_path, name, "--source", source, "--splits-by", by)
    lady = encoded(shade=581857 % 200)
    assert splits["train"] == [
        # [10.39, 29.99, 13.42, 17.42] as xywh: 10.39 + 13.42 = 23.81, 29.99 + 17.42 = 47.41
        grounding_row(name, "train", 0, "7-1", "the lady with the blue shirt", "[10.39, 29.99, 23.81, 47.41]", lady),
        grounding_row(name, "train", 1, "7-2", "lady in blue", "[10.39, 29.99, 23.81, 47.41]", lady),
        grounding_row(name, "train", 2, "8-3", "man on the left", "[0, 0, 50, 60.5]", lady),
        grounding_row(name, "train", 3, "9-4", "café table", "[100, 50, 120, 70]", encoded(shade=99)),
    ]
    assert splits["val"] == [grounding_row(name, "val", 0, "10-5", "dog", "[1, 2, 4, 6]", encoded(shade=5))]
    assert splits["testA"] == [grounding_row(name, "testA", 0, "11-6", "cat", "[1, 2, 31, 42]", encoded(shade=6))]
    assert rejects == []


def test_refer_finds_its_folder_when_the_source_is_that_folder(tmp_path):
    root = refer_folder(tmp_path / "refer")
    splits, _ = run(tmp_path, "refcoco", "--source", root / "refcoco", "--image-root", root / "train2014")
    assert [len(splits[name]) for name in ("train", "val", "testA")] == [4, 1, 1]


def test_refer_ids_that_lead_nowhere_sizes_that_disagree_and_duplicates(tmp_path):
    refs = [
        ref(1, 70, 12345, "train", sentence(1, "no such image")),
        ref(2, 999, 581857, "train", sentence(2, "no such annotation")),
        ref(3, 70, 581857, "train", sentence(3, "good"), sentence(3, "good")),
        ref(4, 73, 5, "train", sentence(4, "size")),
        ref(5, 71, 581857, None, sentence(5, "no split")),
        {"split": "train"},
    ]
    source = refer_folder(tmp_path / "refer", refs=refs, sizes={5: (WIDTH * 2, HEIGHT)})
    splits, rejects = run(tmp_path, "refcoco", "--source", source)
    assert [row["extra_info"]["answer"] for row in splits["train"]] == ["good"]
    expected = [
        "unknown_image", "unknown_annotation", "duplicate", "image_size_disagrees", "split_unknown", "row_malformed"
    ]  # fmt: skip
    assert rejects == expected


def test_refgta(tmp_path):
    refs = [ref(1, 70, 581857, "test", sentence(1, "a man in a car"))]
    source = refer_folder(tmp_path / "ref2", "refgta", "utokyo", refs=refs)
    splits, _ = run(tmp_path, "refgta", "--source", source)
    gold = "[10.39, 29.99, 23.81, 47.41]"
    assert splits["test"] == [grounding_row("refgta", "test", 0, "1-1", "a man in a car", gold, encoded(shade=57))]


def test_vlm_r1_json_beside_the_files_of_the_other_data_sets(tmp_path):
    image = write(tmp_path / "coco" / "train2014" / coco_name(3), encoded(shade=3)).parent
    write(tmp_path / "json" / "refcoco_val.json", json.dumps([vlm_r1_row(5, 3, [1, 2, 33.25, 44])]))
    write(tmp_path / "json" / "refcocop_val.json", json.dumps([vlm_r1_row(6, 3, [1, 2, 3, 4], "red")]))
    write(tmp_path / "json" / "refcocog_test.json", json.dumps([vlm_r1_row(7, 3, [1, 2, 3, 4], "blue")]))
    splits, _ = run(tmp_path, "refcoco", "--source", tmp_path / "json", "--image-root", image)
    row = grounding_row("refcoco", "val", 0, "5", "the man", "[1, 2, 33.25, 44]", encoded(shade=3))
    assert splits == {"val": [row]}
    splits, _ = run(tmp_path / "plus", "refcoco+", "--source", tmp_path / "json", "--image-root", image)
    assert [row["extra_info"]["answer"] for row in splits["val"]] == ["red"]


def test_vlm_r1_boxes_of_another_space_contradict_their_normalised_form(tmp_path):
    write(tmp_path / "coco" / "train2014" / coco_name(3), encoded(shade=3))
    good = vlm_r1_row(1, 3, [10, 20, 30, 40])
    scaled = {**good, "id": 2, "solution": good["normalized_solution"]}  # [83, 222, 250, 444]
    inside = {**vlm_r1_row(3, 3, [1, 2, 12, 9]), "solution": [8, 22, 100, 88]}  # 0-1000, but fits into 120 x 90
    bad_json = '[{"id": 1,'
    write(tmp_path / "coco" / "refcoco_train.json", json.dumps([good, good, scaled, inside, "row"]))
    splits, rejects = run(tmp_path, "refcoco", "--source", tmp_path / "coco")
    assert len(splits["train"]) == 1
    assert rejects == ["duplicate", "box_disagrees", "box_disagrees", "row_malformed"]
    write(tmp_path / "coco" / "refcoco_train.json", bad_json)
    with pytest.raises(SystemExit, match="expected JSON"):
        main(["refcoco", "--source", str(tmp_path / "coco"), "--out", str(tmp_path / "none")])


@pytest.mark.parametrize("answer", [[1, 2, 30, 40], "[1, 2, 30, 40]", "The box is [1, 2, 30, 40]."])
def test_vlm_r1_lines(tmp_path, answer):
    write(tmp_path / "coco" / "train2014" / coco_name(3), encoded(shade=3))
    lines = [
        json.dumps(vlm_r1_line(1, f"train2014/{coco_name(3)}", ASK + "the man", answer)),
        json.dumps({"id": 2, "image": coco_name(3), "conversations": [{"from": "human", "value": "?"}]}),
        "",
        "{broken",
        "[1]",
    ]
    write(tmp_path / "coco" / "refcoco_train.jsonl", b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    splits, rejects = run(tmp_path, "refcoco", "--source", tmp_path / "coco")
    assert splits["train"] == [grounding_row("refcoco", "train", 0, "1", "the man", "[1, 2, 30, 40]", encoded(shade=3))]
    assert rejects == ["conversation_malformed", "json_malformed", "row_malformed"]


def test_lisa_grounding(tmp_path):
    write(tmp_path / "lisa" / "images" / "a b.jpg", encoded())
    row = {"image": "images/a b.jpg", "problem": "the thing that cuts", "solution": [3, 4, 50, 60]}
    write(tmp_path / "lisa" / "lisa_test.json", json.dumps([row]))
    splits, _ = run(tmp_path, "lisa-grounding", "--source", tmp_path / "lisa")
    expected = grounding_row(
        "lisa-grounding", "test", 0, "lisa_test.json#0", "the thing that cuts", "[3, 4, 50, 60]", encoded()
    )
    assert splits == {"test": [expected]}


def test_hub_images(tmp_path):
    rows = [
        lmms_row("q1", 3, [10.39, 29.99, 13.42, 17.42], ["man", "guy on left"]),
        lmms_row("q2", 4, [1, 2, 3, 4], ["dog"], image={"bytes": None, "path": "x/4.jpg"}),
        lmms_row("q3", 4, [1, 2, 3, 4], ["dog"], image={"bytes": None, "path": "gone.jpg"}),
        lmms_row("q1", 3, [10.39, 29.99, 13.42, 17.42], ["man"]),
    ]
    write_table(tmp_path / "hub" / "data" / "testA-00000-of-00001-abc.parquet", rows, LMMS_SCHEMA)
    write(tmp_path / "hub" / "x" / "4.jpg", encoded(shade=4))
    splits, rejects = run(tmp_path, "refcoco", "--source", tmp_path / "hub")
    gold = "[10.39, 29.99, 23.81, 47.41]"  # in float32 on disk, so rounding must undo 10.390000343...
    three, four = encoded(shade=3), encoded(shade=4)
    assert splits == {
        "testA": [
            grounding_row("refcoco", "testA", 0, "q1-0", "man", gold, three),
            grounding_row("refcoco", "testA", 1, "q1-1", "guy on left", gold, three),
            grounding_row("refcoco", "testA", 2, "q2-0", "dog", "[1, 2, 4, 6]", four),
        ]
    }
    assert sorted(rejects) == ["duplicate", "image_missing"]


def test_hub_ids(tmp_path):
    good = jxu_row(7, 3, [10.0, 20.0, 30.0, 40.0], sentence(1, "Man"), sentence(2, "Guy"))
    as_xywh = {**jxu_row(8, 3, [10.0, 20.0, 30.0, 40.0], sentence(3, "dog")), "bbox": [10.0, 20.0, 30.0, 40.0]}
    no_json = {**jxu_row(9, 3, [10.0, 20.0, 30.0, 40.0], sentence(4, "cat")), "raw_anns": "{"}
    write_table(tmp_path / "hub" / "data" / "validation.parquet", [good, as_xywh, no_json])
    root = write(tmp_path / "coco" / "train2014" / coco_name(3), encoded(shade=3)).parent
    splits, rejects = run(tmp_path, "refcoco", "--source", tmp_path / "hub", "--image-root", root)
    assert splits["train"] == [
        grounding_row("refcoco", "train", 0, "7-1", "man", "[10, 20, 40, 60]", encoded(shade=3)),
        grounding_row("refcoco", "train", 1, "7-2", "guy", "[10, 20, 40, 60]", encoded(shade=3)),
    ]
    assert rejects == ["box_disagrees", "json_malformed"]


@pytest.mark.parametrize("packed", [False, True])
def test_intergps(tmp_path, packed):
    problems = {"train/0": intergps_problem(0), "train/10": intergps_problem(10, answer="F"), "val/2101": {"answer": 1}}
    root = intergps_folder(tmp_path / "geometry", problems)
    write(root / "test" / "2401" / "data.json", json.dumps(intergps_problem(2401)))
    write(root / "test" / "2402" / "data.json", "{")
    if packed:
        files = {f"geometry3k/{path.relative_to(root)}": path.read_bytes() for path in root.rglob("*.*")}
        root = zipped(tmp_path / "packed" / "data.zip", files).parent
    splits, rejects = run(tmp_path, "geometry3k", "--source", root)
    image = decode(diagram()).data
    prompt = "<image>Find $x$ of problem 0."
    assert splits == {
        "train": [math_row("geometry3k", "train", 0, "0", prompt, "\\sqrt{3}", "\\sqrt{3}", image, choices=INTERGPS)],
    }
    assert sorted(rejects) == ["choice_out_of_range", "image_missing", "json_malformed", "row_malformed"]


def test_geometry3k_from_the_hub_in_its_old_and_its_new_form(tmp_path):
    old = {"images": [{"bytes": diagram(), "path": None}], "problem": "<image>Find $x$.", "answer": "3"}
    new = {**old, "id": 17, "choices": ["1", "2", "3", "4"], "ground_truth": "C"}
    wrong = {**new, "id": 18, "ground_truth": "D"}
    beyond = {**new, "id": 19, "ground_truth": "E"}
    kind = [("images", pa.list_(IMAGE_STRUCT)), ("problem", pa.string()), ("answer", pa.string())]
    write_table(tmp_path / "old" / "data" / "train-00000-of-00001.parquet", [old, old], pa.schema(kind))
    write_table(tmp_path / "new" / "data" / "test-00000-of-00001.parquet", [new, wrong, beyond, new])
    splits, rejects = run(tmp_path / "a", "geometry3k", "--source", tmp_path / "old")
    image = decode(diagram()).data
    first, second = splits["train"]  # without ids, two rows of one text are two problems
    id = "train-00000-of-00001.parquet#0"
    assert first == math_row("geometry3k", "train", 0, id, "<image>Find $x$.", "3", "3", image)
    assert second["extra_info"]["id"].endswith("#1") and rejects == []
    splits, rejects = run(tmp_path / "b", "geometry3k", "--source", tmp_path / "new")
    assert splits["test"] == [
        math_row("geometry3k", "test", 0, "17", "<image>Find $x$.", "3", "3", image, choices=list("1234"))
    ]
    assert sorted(rejects) == ["answer_disagrees", "choice_out_of_range", "duplicate"]


def test_mm_eureka_v1(tmp_path):
    as_text = eureka_row("d", "Area?", 7, "K12/b.png")
    as_text["conversations"] = json.dumps(json.dumps(as_text["conversations"]))
    rows = [
        eureka_row("a", "<image>Sum?", "$$5$$", "K12/a.png"),
        eureka_row("b", "<image>Both <image>?", "6", "K12/a.png", "MMPR/images/c.png"),
        eureka_row("c", "<image>Text?", "8", "blank_image.jpg"),
        as_text,
        eureka_row("e", "Other folder?", "1", "Other/a.png"),
        {"id": "f", "answer": "1", "image_urls": ["K12/a.png"], "conversations": "[{"},
        eureka_row("a", "<image>Sum?", "$$5$$", "K12/a.png"),
    ]
    lines = [json.dumps(row) for row in rows]
    curly = json.dumps(eureka_row("g", "It\u2019s?", "2", "K12/a.png"), ensure_ascii=False).encode("cp1252")
    data = b"\xef\xbb\xbf" + "\n\n".join(lines).encode() + b"\n" + curly + b"\n"
    write(tmp_path / "eureka" / "dataset.jsonl", data)
    members = {f"home/x/K12/{name}.png": encoded(form="PNG", shade=shade) for name, shade in (("a", 1), ("b", 2))}
    zipped(tmp_path / "eureka" / "K12.zip", members)
    write(tmp_path / "eureka" / "MMPR" / "images" / "c.png", encoded(form="PNG", shade=3))
    splits, rejects = run(tmp_path, "mm-eureka", "--source", tmp_path / "eureka")
    a, b, c = (encoded(form="PNG", shade=shade) for shade in (1, 2, 3))
    one, two, text, curled = splits["train"]
    assert one == math_row("mm-eureka", "train", 0, "a", "<image>Sum?", "$$5$$", "5", a)
    assert [image["bytes"] for image in two["images"]] == [a, c]
    assert two["prompt"][0]["content"] == "<image>Both <image>?" + BOXED
    assert two["extra_info"]["image_sha256"] == f"{decode(a).sha256} {decode(c).sha256}"
    assert text == math_row("mm-eureka", "train", 3, "d", "<image>Area?", "7", "7", b)
    assert curled["extra_info"]["question"] == "It\u2019s?"
    assert sorted(rejects) == ["conversation_malformed", "duplicate", "image_missing", "text_only"]


def test_mm_eureka_for_qwen(tmp_path):
    write(tmp_path / "eureka" / "qwen.jsonl", json.dumps(qwen_row(3, "Sum?", "5", "K12/a.png")))
    zipped(tmp_path / "eureka" / "images.zip", {"data/K12/a.png": encoded(form="PNG")})
    splits, _ = run(tmp_path, "mm-eureka", "--source", tmp_path / "eureka")
    image = encoded(form="PNG")
    assert splits["train"] == [math_row("mm-eureka", "train", 0, "3", "<image>Sum?", "5", "5", image)]


def test_mmk12(tmp_path):
    image = {"bytes": diagram(), "path": "images.png"}
    rows = [
        mmk12_row("k1", "Area?", "$$5$$.", image),
        mmk12_row("k2", "<image>Area?", "A", image),
        mmk12_row("k3", "Area?", "1", None),
    ]
    write_table(tmp_path / "mmk12" / "data" / "test-00000-of-00001.parquet", rows, MMK12_SCHEMA)
    splits, rejects = run(tmp_path, "mmk12", "--source", tmp_path / "mmk12")
    image = decode(diagram()).data
    assert splits["test"] == [
        math_row("mmk12", "test", 0, "k1", "<image>Area?", "$$5$$.", "5", image, "math"),
        math_row("mmk12", "test", 1, "k2", "<image>Area?", "A", "A", image, "math"),
    ]
    assert rejects == ["image_missing"]


def test_virl39k(tmp_path):
    rows = [virl_row("v1", "<image>Sum?", "\\boxed{5}", "images/a.png"), virl_row("v2", "Sum?", "\\boxed{5}")]
    write_table(tmp_path / "virl" / "39Krelease.parquet", rows)
    zipped(tmp_path / "virl" / "images.zip", {"images/a.png": encoded(form="PNG")})
    splits, rejects = run(tmp_path, "virl39k", "--source", tmp_path / "virl")
    image = encoded(form="PNG")
    assert splits["train"] == [
        math_row("virl39k", "train", 0, "v1", "<image>Sum?", "\\boxed{5}", "5", image, GEOMETRIC)
    ]
    assert rejects == ["text_only"]


def test_files_of_one_source_may_have_different_schemas(tmp_path):
    image = {"bytes": encoded(), "path": None}
    number = {**mmk12_row("x", "Sum?", "5", image), "id": 1, "answer": 5.5}
    write_table(tmp_path / "mmk12" / "train-00000-of-00002.parquet", [mmk12_row("k1", "Area?", "5", image)])
    write_table(tmp_path / "mmk12" / "train-00001-of-00002.parquet", [number])
    splits, _ = run(tmp_path, "mmk12", "--source", tmp_path / "mmk12")
    assert [(row["extra_info"]["id"], row["extra_info"]["answer"]) for row in splits["train"]] == [
        ("k1", "5"),
        ("1", "5.5"),
    ]
