"""Files of data_prep beside those of others: in one list of training files, and to leave out their images."""

import asyncio
import io
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_fixtures import IMAGE_STRUCT, MMK12_SCHEMA, diagram, encoded, mmk12_row, write, write_table
from omegaconf import OmegaConf
from PIL import Image
from verl.utils.dataset.rl_dataset import RLHFDataset

from data_prep.__main__ import main
from data_prep.synthetic.shapes import main as shapes
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_processor


def source(root, *pictures):
    images = [{"bytes": data, "path": None} for data in pictures]
    rows = [mmk12_row(f"k{n}", f"How much is {n}?", "5", image) for n, image in enumerate(images)]
    write_table(root / "train.parquet", rows, MMK12_SCHEMA)
    return root


def convert(raw, out, *options):
    main(["mmk12", "--source", str(raw), "--out", str(out), "--processes", "1", *map(str, options)])
    return out / "train.parquet"


def rejects(out):
    return [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]


def easyr1_file(path, *pictures):
    """Write a file with the columns of EasyR1's data sets, such as hiyouga/geometry3k."""
    features = {"images": datasets.List(datasets.Image()), "problem": datasets.Value("string")}
    features = datasets.Features({**features, "answer": datasets.Value("string")})
    images = [{"bytes": data, "path": None} for data in pictures]
    rows = [{"images": [image], "problem": "<image>Find x.", "answer": "3"} for image in images]
    data = datasets.Dataset.from_list(rows, features=features)
    data.to_parquet(path)
    return path, data


def geo3k_file(path, *pictures):
    """Write what verl's examples/data_preprocess/geo3k.py makes of hiyouga/geometry3k: the fields that it maps to."""
    _, data = easyr1_file(path.with_name("raw.parquet"), *pictures)

    def as_verl(row, number):
        return {
            "data_source": "hiyouga/geometry3k",
            "prompt": [{"role": "user", "content": row["problem"]}],
            "images": row["images"],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": row["answer"]},
            "extra_info": {"split": "train", "index": number, "answer": row["answer"], "question": row["problem"]},
        }

    data.map(as_verl, with_indices=True, remove_columns=["problem", "answer"]).to_parquet(path)
    return path


@pytest.mark.parametrize("first", range(4))
def test_files_of_ours_verls_and_easyr1s_columns_are_one_training_set(tmp_path, first):
    raw = source(tmp_path / "raw", encoded(), diagram())
    shapes(["--out", str(tmp_path / "shapes"), "--train", "2", "--val", "1"])
    files = [
        convert(raw, tmp_path / "embedded"),
        convert(raw, tmp_path / "paths", "--images", "path"),
        geo3k_file(tmp_path / "geo3k.parquet", encoded(shade=7)),
        tmp_path / "shapes" / "train.parquet",
    ]
    files = [*files[first:], *files[:first], easyr1_file(tmp_path / "easyr1.parquet", encoded())[0]]
    processor = build_processor(TASKS["grounding"])
    config = {"cache_dir": str(tmp_path / "cache"), "max_prompt_length": 4096, "filter_overlong_prompts_workers": None}
    data = RLHFDataset([str(path) for path in files], processor.tokenizer, OmegaConf.create(config), processor)
    assert len(data) == 7  # 2 + 2 + 1 + 2; verl drops EasyR1's row, which has no prompt
    sources = [data[number]["data_source"] for number in range(7)]
    assert sorted(sources) == ["hiyouga/geometry3k", *["mmk12"] * 4, *["shapes_grounding"] * 2]
    for number in range(7):
        pictures, _ = asyncio.run(data.process_vision_info(data[number]["raw_prompt"], 14, data.config))
        assert pictures[0].mode == "RGB" and pictures[0].getextrema()[0][1] > 200  # transparency is not black


def test_the_two_kinds_of_files_differ_in_their_images_only(tmp_path):
    raw = source(tmp_path / "raw", encoded(), diagram())
    embedded, paths = convert(raw, tmp_path / "e"), convert(raw, tmp_path / "p", "--images", "path")
    assert pq.read_schema(embedded).equals(pq.read_schema(paths), check_metadata=True)
    rows, others = pq.read_table(embedded).to_pylist(), pq.read_table(paths).to_pylist()
    for row, other in zip(rows, others, strict=True):
        (image,), (path,) = row.pop("images"), other.pop("images")
        assert row == other and image["path"] is None and path["bytes"] is None


# ---- images of evaluation files


def test_rows_that_show_an_image_of_an_evaluation_file_are_left_out(tmp_path):
    fast, small = encoded(form="PNG", compress_level=1), encoded(form="PNG", compress_level=9)
    raw = source(tmp_path / "raw", fast, diagram(), encoded(shade=2), encoded(shade=3), encoded(shade=4))
    evaluation = convert(source(tmp_path / "eval", small), tmp_path / "own")
    geo3k = geo3k_file(tmp_path / "geo3k.parquet", diagram())  # `datasets` encodes it again
    mathvista = tmp_path / "testmini.parquet"
    row = {"pid": "7", "image": "images/7.jpg", "decoded_image": {"bytes": encoded(shade=2), "path": None}}
    kind = [("pid", pa.string()), ("image", pa.string()), ("decoded_image", IMAGE_STRUCT)]
    write_table(mathvista, [row], pa.schema(kind))
    out = tmp_path / "out"
    written = convert(raw, out, "--exclude", evaluation, geo3k, "--exclude", mathvista)
    assert [row["extra_info"]["id"] for row in pq.read_table(written).to_pylist()] in (["k3", "k4"], ["k4", "k3"])
    assert {(reject["source"], reject["reason"]) for reject in rejects(out)} == {
        (f"train.parquet#{n}", "image_excluded") for n in range(3)
    }
    whole = convert(raw, out)  # the same folder, without --exclude: nothing of the earlier run is taken over
    assert pq.read_metadata(whole).num_rows == 5


def test_check_reads_files_of_others(tmp_path, capsys):
    train = convert(source(tmp_path / "raw", encoded(), diagram()), tmp_path / "own")
    geo3k = geo3k_file(tmp_path / "geo3k.parquet", encoded(shade=9), diagram())
    bare = tmp_path / "bare.parquet"  # a column of bytes, and one of names, as some benchmarks have
    rows = [{"id": 5, "image": encoded(), "name": "a.png"}, {"id": 6, "image": b"no image", "name": "b.png"}]
    write_table(bare, rows)
    by_path = tmp_path / "paths.parquet"
    write(tmp_path / "pictures" / "a.jpg", encoded())
    image = {"bytes": None, "path": "pictures/a.jpg"}
    write_table(by_path, [{"images": [image, {**image, "path": "pictures/gone.jpg"}]}])
    capsys.readouterr()
    for path, row in ((geo3k, "#1"), (bare, "5"), (by_path, "#0")):
        with pytest.raises(SystemExit) as end:
            main(["check", str(train), str(path)])
        assert end.value.code == 1
        printed = capsys.readouterr().out
        assert "1 in both, in 1 rows" in printed and printed.rstrip().endswith(f"and  {row}")
    main(["check", str(geo3k), str(bare)])
    assert "0 in both" in capsys.readouterr().out


# ---- golds and sizes


def test_golds_that_no_response_can_earn_are_counted_and_kept_on_request(tmp_path, capsys):
    image = {"bytes": encoded(), "path": None}
    letters = {"choices": ["1", "2"], "images": [image], "problem": "<image>Which?"}
    rows = [{**letters, "id": "good", "answer": "B"}, {**letters, "id": "beyond", "answer": "E"}]
    write_table(tmp_path / "raw" / "train.parquet", rows)
    argv = ["geometry3k", "--source", str(tmp_path / "raw"), "--processes", "1", "--out"]
    main([*argv, str(tmp_path / "out")])
    assert "rejected       1  unearnable_gold: " in capsys.readouterr().out
    (reject,) = rejects(tmp_path / "out")
    assert (reject["source"], reject["detail"]) == ("train.parquet#1", "bad_gold: E")
    main([*argv, str(tmp_path / "kept"), "--keep-unearnable"])
    assert pq.read_metadata(tmp_path / "kept" / "train.parquet").num_rows == 2 and rejects(tmp_path / "kept") == []


@pytest.mark.parametrize("status", ["timeout", "error"])
def test_a_row_is_not_rejected_because_the_machine_is_busy(tmp_path, monkeypatch, status):
    import data_prep.convert.parts

    monkeypatch.setattr(data_prep.convert.parts, "unearnable_gold", lambda *_: status)
    assert pq.read_metadata(convert(source(tmp_path / "raw", encoded()), tmp_path / "out")).num_rows == 1


def test_all_that_is_written_of_answers_as_k12_has_them_can_be_earned(tmp_path):
    from reward_fns.earnable import unearnable_gold

    answers = [
        "$$6$$", "25°.", "$$\\dfrac{3}{2}$$", "(1)$$-2$$ (2)$$3\\sqrt{\\number{2}}$$", "254.4\n267.12", "$$7$$ $$10$$",
        "①②④", "(1)(3).", "1.3.4.", "$$BD=CE$$ (not unique)", "∵∠1=∠2 ∴AB=7cm. Therefore, fill in 7.",
        "$$\\number{7500}$$", "$$\\quantity{18}{cm}$$", "60°; 60°; 120°.", "6 or 2 or 10", "$$x=-4$$,$$y=-2$$",
        "$$\\left\\{\\begin{array}{l}x=1\\\\y=2\\end{array}\\right.$$", "$$x \\geqslant 2$$(or $$x > 2$$)", "2:3",
        "rhombus.", "$$[-4,3]$$", "$y=\\frac{9}{x}$", "a > b > c.",
    ]  # fmt: skip
    image = {"bytes": encoded(), "path": None}
    rows = [mmk12_row(f"k{n}", f"{n}?", answer, image) for n, answer in enumerate(answers)]
    write_table(tmp_path / "raw" / "train.parquet", rows, MMK12_SCHEMA)
    written = pq.read_table(convert(tmp_path / "raw", tmp_path / "out")).to_pylist()
    golds = [row["reward_model"]["ground_truth"] for row in written]
    assert len(golds) >= 12 and {"6", "\\dfrac{3}{2}", "7500", "rhombus", "60°; 60°; 120°"} <= set(golds)
    assert [gold for gold in golds if unearnable_gold("mmk12", gold, {})] == []


def test_small_images_are_kept_unless_a_smallest_side_is_asked_for(tmp_path):
    raw = source(tmp_path / "raw", encoded(), encoded(size=(13, 3), form="PNG"), encoded(size=(30, 27)))
    assert pq.read_metadata(convert(raw, tmp_path / "all")).num_rows == 3
    assert pq.read_metadata(convert(raw, tmp_path / "large", "--min-side", "28")).num_rows == 1
    assert {reject["reason"] for reject in rejects(tmp_path / "large")} == {"image_too_small"}


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (13, 3), (1, 150), (5, 900)])
def test_the_processor_takes_images_smaller_than_a_token(size):
    from qwen_vl_utils import fetch_image

    picture = Image.open(io.BytesIO(encoded(size=size, form="PNG")))
    scaled = fetch_image({"image": picture}, image_patch_size=14)
    inputs = build_processor(TASKS["grounding"]).image_processor([scaled], return_tensors="pt")
    assert inputs["image_grid_thw"].prod() >= 4 and min(scaled.size) >= 28
