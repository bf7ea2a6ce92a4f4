"""Conversions of a source that has changed, into a folder that another run uses, and of one split after another."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conversions import rows_of
from data_fixtures import encoded, refer_folder, write, zipped
from own_rows import ANSWER, convert, lines, row

from data_prep.__main__ import main
from data_prep.convert.stamps import ImageStamps
from data_prep.types import Sample, raw_row

ROOT = Path(__file__).parents[3]


def replace(path, data):
    """Write a file with another time than before."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


@pytest.mark.parametrize("kind", ["file", "archive", "table", "parquet"])
def test_the_stamp_of_a_row_changes_with_the_file_of_its_picture(tmp_path, kind):
    place = write(tmp_path / "a", b"old")
    other = write(tmp_path / "b", b"other")
    location = {
        "file": str(place),
        "archive": [str(place), "a.png"],
        "table": {"table": str(place), "block": 0, "row": 0, "field": "image", "item": 0},
        "parquet": {"parquet": str(other), "column": "c", "block": 0, "row": 0, "item": 0, "else": str(place)},
    }[kind]
    rows = [raw_row("train", "1", {"at": at}, "") for at in (location, str(other), {"reject": "image_missing"})]

    def stamps():
        read = ImageStamps(lambda raw: Sample("id", "question", "answer", "gold", (raw["at"],))).of
        return [read(row) for row in rows]

    before = stamps()
    assert before == stamps()
    replace(place, b"new")
    assert [old != new for old, new in zip(before, stamps(), strict=True)] == [True, False, False]
    place.unlink()
    assert stamps()[0].endswith("missing")


def test_a_picture_that_was_mended_is_converted(tmp_path):
    place = write(tmp_path / "a.png", b"no picture")
    lines(tmp_path / "my.jsonl", row())
    words = [sys.executable, "-m", "data_prep", "jsonl", "--source", "my.jsonl", "--out", "out", *ANSWER]
    printed = []
    for mended in (False, True, True):
        if mended and place.read_bytes() == b"no picture":
            replace(place, encoded())
        run = subprocess.run(words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
        assert run.returncode == (not mended), run.stderr
        printed.append(run.stdout.decode())
    assert ["nothing to do" in text for text in printed] == [False, False, True]
    assert len(rows_of(tmp_path / "out")) == 1


def test_copies_that_were_removed_are_written_again(tmp_path):
    write(tmp_path / "a.png", encoded(form="BMP"))
    source, out = lines(tmp_path / "my.jsonl", row()), tmp_path / "out"
    convert(source, out, *ANSWER, "--images", "path")
    shutil.rmtree(out / "images")
    written, _ = convert(source, out, *ANSWER, "--images", "path")
    assert os.path.isfile(written[0]["images"][0]["path"])


def test_a_folder_that_another_run_writes_is_refused(tmp_path):
    write(tmp_path / "a.png", encoded())
    source, out = lines(tmp_path / "my.jsonl", row()), tmp_path / "out"
    (out / ".parts").mkdir(parents=True)
    other = os.open(out / ".parts", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(SystemExit, match="--out .*: got a folder into which another run is writing"):
        convert(source, out, *ANSWER)
    os.close(other)
    assert len(convert(source, out, *ANSWER)[0]) == 1


def test_what_was_told_of_one_split_stays_when_another_is_converted(tmp_path):
    write(tmp_path / "a.png", encoded())
    for split in ("train", "val"):
        lines(tmp_path / f"{split}.jsonl", row(), row(question="2?", image=f"{split}.png"))
    out = tmp_path / "out"
    for split in ("train", "val", "train"):
        written, rejects = convert(tmp_path, out, *ANSWER, "--splits", split)
    assert len(written) == 2
    assert sorted((reject["split"], reject["detail"]) for reject in rejects) == [
        ("train", "train.png"),
        ("val", "val.png"),
    ]
    report = json.loads((out / "report.json").read_text())
    assert {split["split"]: split["read"] for split in report["splits"]} == {"train": 2, "val": 2}
    assert report["rejected"] == {"train": {"image_missing": 1}, "val": {"image_missing": 1}}


def test_refer_is_read_from_its_archive_or_beside_it(tmp_path):
    root = refer_folder(tmp_path / "data")
    packed = {f"refcoco/{path.name}": path.read_bytes() for path in (root / "refcoco").iterdir()}
    zipped(root / "refcoco.zip", packed)
    counts = []
    for out in ("both", "packed"):
        main(["refcoco", "--source", str(root), "--out", str(tmp_path / out), "--processes", "1"])
        counts.append([(each["extra_info"]["id"], each["reward_model"]) for each in rows_of(tmp_path / out)])
        shutil.rmtree(root / "refcoco", ignore_errors=True)
    assert counts[0] == counts[1] and len(counts[0]) == 6
    zipped(tmp_path / "half" / "half.zip", {name: data for name, data in packed.items() if "refs" in name})
    with pytest.raises(SystemExit, match="half.zip/refcoco/instances.json: cannot be read"):
        main(["refcoco", "--source", str(tmp_path / "half"), "--out", str(tmp_path / "none")])
