"""Conversions that are stopped, killed or started again: the same bytes, and nothing of another one beside them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from conversions import command, content, rows_of, write_refcoco

from data_prep.__main__ import main
from data_prep.convert import plan

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_refcoco(tmp_path_factory.mktemp("refer"))


def test_a_run_stopped_between_parts_goes_on_and_ends_with_the_same_bytes(source, tmp_path, monkeypatch):
    import data_prep.convert.run

    monkeypatch.setattr(plan, "PART_ROWS", 50)
    main(command(source, tmp_path / "whole"))
    first_run, write_part = [], data_prep.convert.run.write_part

    def stop_after_three(job, part):
        if len(first_run) == 3:
            raise KeyboardInterrupt
        first_run.append(part.key)
        return write_part(job, part)

    monkeypatch.setattr(data_prep.convert.run, "write_part", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        main(command(source, tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".parts"]
    second_run = []
    monkeypatch.setattr(
        data_prep.convert.run, "write_part", lambda job, part: second_run.append(part.key) or write_part(job, part)
    )
    main(command(source, tmp_path / "out"))
    assert second_run and not set(second_run) & set(first_run)  # finished parts are kept
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_kept_parts_are_not_taken_for_those_of_other_options(source, tmp_path, monkeypatch):
    import data_prep.convert.run

    monkeypatch.setattr(plan, "PART_ROWS", 50)
    monkeypatch.setattr(data_prep.convert.run, "_join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        main(command(source, tmp_path / "out"))
    monkeypatch.undo()
    monkeypatch.setattr(plan, "PART_ROWS", 50)
    main(command(source, tmp_path / "out", "--template", "boxed"))
    assert all("\\boxed" in row["prompt"][0]["content"] for row in rows_of(tmp_path / "out"))


def test_a_finished_run_is_not_done_again_but_a_damaged_one_is(source, tmp_path, monkeypatch):

    main(command(source, tmp_path))
    before, stamp = content(tmp_path), (tmp_path / "train.parquet").stat().st_mtime_ns
    main(command(source, tmp_path))
    assert (tmp_path / "train.parquet").stat().st_mtime_ns == stamp
    (tmp_path / "train.parquet").write_bytes(before["train.parquet"][:-1])
    main(command(source, tmp_path))
    assert content(tmp_path) == before


def test_files_of_another_conversion_do_not_stay_beside_the_new_ones(source, tmp_path):
    """Their rows could be in both: a split that is gone, or one file where there are shards now."""
    main(command(source, tmp_path, "--splits", "train", "--max-rows", "20"))
    main(command(source, tmp_path, "--splits", "val"))  # one split at a time
    main(command(source, tmp_path))  # replaces both
    before = content(tmp_path)
    with pytest.raises(
        SystemExit, match=r"--out .*: got a folder with train.parquet, val.parquet of another conversion"
    ):
        main(command(source, tmp_path, "--shards", "2"))
    assert content(tmp_path) == before
    (tmp_path / "train.parquet").unlink()
    (tmp_path / "val.parquet").unlink()
    main(command(source, tmp_path, "--shards", "2"))
    assert len(list(tmp_path.glob("*.parquet"))) == 4


@pytest.mark.parametrize("seed", range(20))
def test_killed_at_a_random_moment_and_started_again(source, tmp_path, seed, monkeypatch):
    code = "from data_prep.convert import plan; plan.PART_ROWS = 20\nfrom data_prep.__main__ import main; main()"
    argv = [sys.executable, "-c", code, *command(source, tmp_path / "out")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, **quiet)
    rng, until = Random(seed), time.monotonic() + 20
    parts = rng.randrange(30)  # of 30; then anywhere in the next part, or in the joining
    while len(list((tmp_path / "out").glob(".parts/*.parquet"))) < parts and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.001)
    time.sleep(rng.random() * 0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for path in (tmp_path / "out").glob("*.parquet"):
        pq.read_table(path)  # whole, or not there
    monkeypatch.setattr(plan, "PART_ROWS", 20)
    main(command(source, tmp_path / "out"))
    main(command(source, tmp_path / "whole"))
    assert content(tmp_path / "out") == content(tmp_path / "whole")
