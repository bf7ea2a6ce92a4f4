"""`inspect` and `check` on parquet files for verl that others wrote: other columns, other forms of images."""

import base64
import json
import re

import pyarrow.parquet as pq
import pytest
from data_fixtures import HEIGHT, WIDTH, encoded, write, write_table
from test_data_mixing import convert, easyr1_file, geo3k_file, source

from data_prep.__main__ import main

PROMPT = [{"role": "user", "content": "<image>How many?"}]


def inspect(path, capsys) -> tuple[dict[str, str], str]:
    """Return the facts that are printed, and the page."""
    capsys.readouterr()
    main(["inspect", str(path)])
    lines = capsys.readouterr().out.splitlines()
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in lines if re.match(r"[a-z]+( [a-z]+)*\s{2,}", line))
    return facts, path.with_suffix(".html").read_text()


def test_inspect_reads_verls_geo3k(tmp_path, capsys):
    facts, page = inspect(geo3k_file(tmp_path / "geo3k.parquet", encoded(), encoded(), encoded(shade=9)), capsys)
    assert facts["rows"].startswith("3 in 1 row groups") and facts["data sources"] == "hiyouga/geometry3k 3"
    assert facts["splits"] == "train 3" and facts["most frequent answers"] == "'3' 3"
    assert facts["distinct images"].startswith("2, shown by 1 to 2")
    assert (facts["image width"], facts["image height"]) == (f"{WIDTH} pixels", f"{HEIGHT} pixels")
    assert facts["question length"] == "14 characters"  # <image>Find x.
    assert page.count("<article>") == page.count("data:image/jpeg;base64,") == 3
    assert f"hiyouga/geometry3k · train · #1 · {WIDTH} × {HEIGHT}" in page


def test_inspect_reads_our_rows_with_other_columns_beside(tmp_path, capsys):
    path = convert(source(tmp_path / "raw", encoded(), encoded(shade=1)), tmp_path / "out")
    table = pq.read_table(path)
    pq.write_table(table.append_column("weight", [[1.0] * len(table)]), tmp_path / "more.parquet")
    ours, page = inspect(path, capsys)
    others, other_page = inspect(tmp_path / "more.parquet", capsys)
    assert others.pop("rows") and ours.pop("rows") and others.pop("page") and ours.pop("page")
    assert others == ours and page.count("<article>") == other_page.count("<article>") == 2


@pytest.mark.parametrize("kind", ["path", "file address", "base64", "data url", "dict"])
def test_both_read_images_in_every_form_that_verl_takes(tmp_path, capsys, kind):
    picture = write(tmp_path / "pictures" / "a.jpg", encoded())
    text = base64.b64encode(encoded()).decode()
    images = {
        "path": ["pictures/a.jpg"],
        "file address": [{"image": f"file://{picture}"}],
        "base64": [{"image": text}],
        "data url": [f"data:image/jpeg;base64,{text}"],
        "dict": [{"bytes": None, "path": str(picture)}],
    }
    write_table(tmp_path / "bare.parquet", [{"prompt": PROMPT, "images": images[kind]}])
    facts, page = inspect(tmp_path / "bare.parquet", capsys)
    assert facts["image width"] == f"{WIDTH} pixels" and "data sources" not in facts and "splits" not in facts
    assert facts["question length"] == "16 characters" and page.count("data:image/jpeg;base64,") == 1
    train = convert(source(tmp_path / "raw", encoded(), encoded(shade=1)), tmp_path / "out")
    with pytest.raises(SystemExit) as end:
        main(["check", str(train), str(tmp_path / "bare.parquet")])
    assert end.value.code == 1 and "1 in both, in 1 rows" in capsys.readouterr().out


def test_images_that_cannot_be_read_are_told(tmp_path, capsys):
    rows = [{"prompt": PROMPT, "images": [{"bytes": data, "path": None}]} for data in (encoded(), b"no image")]
    write_table(tmp_path / "a.parquet", rows)
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path / "a.parquet"), str(tmp_path / "a.parquet")])
    assert "a.parquet: 1 images cannot be read, and are not compared" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="row #1: cannot decode its image"):
        main(["inspect", str(tmp_path / "a.parquet")])
    assert re.search(r"unreadable images +1\n", capsys.readouterr().out)


def test_inspect_draws_several_boxes_and_knows_no_object(tmp_path, capsys):
    golds = [[[1, 2, 31, 42], [5, 6, 45, 46]], [], [10, 20, 40, 60], "red"]
    rows = [
        {
            "prompt": PROMPT,
            "images": [{"bytes": encoded(), "path": None}],
            "reward_model": {"style": "rule", "ground_truth": gold if isinstance(gold, str) else json.dumps(gold)},
        }
        for gold in golds
    ]
    write_table(tmp_path / "boxes.parquet", rows)
    facts, page = inspect(tmp_path / "boxes.parquet", capsys)
    assert facts["answers that are boxes"] == "3 of 4" and facts["boxes of an answer"] == "0 to 2 (median 1)"
    assert facts["box width"] == "30 to 40 (median 30) pixels" and facts["most frequent answers"] == "'red' 1"
    assert page.count("<rect") == 2 * 3 and '<rect x="5.0" y="6.0" width="40.0" height="40.0"/>' in page


def test_rows_that_verl_would_drop_are_refused_with_what_to_do(tmp_path):
    path, _ = easyr1_file(tmp_path / "easyr1.parquet", encoded())
    with pytest.raises(SystemExit, match="got columns images, problem, answer, expected .* prompt.* data_prep jsonl"):
        main(["inspect", str(path)])


def test_verls_columns_are_converted_unless_the_answers_are_boxes(tmp_path, capsys):
    geo3k = geo3k_file(tmp_path / "geo3k.parquet", encoded(), encoded(shade=9))
    main(["jsonl", "--source", str(geo3k), "--out", str(tmp_path / "out"), "--processes", "1"])
    assert "geo3k.parquet has verl's columns: --question extra_info.question" in capsys.readouterr().out
    rows = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["3", "3"]
    assert [row["prompt"][0]["content"][:21] for row in rows] == ["<image>Find x. Think "] * 2
    main(["shapes", "--out", str(tmp_path / "shapes"), "--train", "2", "--val", "1"])
    boxes = ["--source", str(tmp_path / "shapes" / "val.parquet"), "--processes", "1", "--out"]
    with pytest.raises(SystemExit, match=r"got the answer \[.* with --box reward_model.ground_truth"):
        main(["jsonl", *boxes, str(tmp_path / "no")])
    named = ["--question", "extra_info.question", "--image", "images", "--box", "reward_model.ground_truth"]
    main(["jsonl", *boxes, str(tmp_path / "yes"), *named, "--box-format", "xyxy", "--box-space", "pixels"])
    (old,), (new,) = (pq.read_table(tmp_path / name / "val.parquet").to_pylist() for name in ("shapes", "yes"))
    assert new["reward_model"] == old["reward_model"] and new["images"] == old["images"]
