"""Damaged results folders: `compare` and `export` say in one line which file and line it is."""

import json

import pytest
from evaluation_run import evaluate, job, own_row, write

from verl_plugins.evaluate.command_line import main

ANSWER = "<answer>[0, 0, 10, 10]</answer>"


@pytest.fixture
def folders(tmp_path):
    """Two evaluations of the same three rows."""
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(3)])
    for name in "ab":
        evaluate(job(tmp_path, data, name), lambda _: ANSWER)
    return tmp_path / "a", tmp_path / "b"


def refusals(first, second):
    """Return what each command says of the folders."""
    commands = [
        ["compare", str(first), str(second)],
        ["export", str(second), "--to", "lmms_eval", "--out", str(first.parent / "exported")],
    ]
    for command in commands:
        with pytest.raises(SystemExit) as refusal:
            main(command)
        assert "\n" not in str(refusal.value)
        yield str(refusal.value)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null", '{"data": []}', "\udcff"])
def test_a_damaged_header_is_named(folders, text):
    header = folders[1] / "evaluation.json"
    header.write_bytes(text.encode("utf-8", "surrogateescape"))
    for said in refusals(*folders):
        assert said.startswith(f"{header}: got ") and "evaluate again into another --out" in said


@pytest.mark.parametrize(
    "change",
    [
        {"data": [{"path": "x", "sha256": "y", "format": "unheard of"}]},
        {"data": [{"path": "x"}]},
        {"data": {"path": "x"}},
        {"model": "x"},
        {"settings": None},
        {"attack": {"name": "random"}},
    ],
)
def test_a_header_that_lacks_a_part_is_told_which(folders, change):
    header = folders[1] / "evaluation.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | change))
    for said in refusals(*folders):
        assert said.startswith(f"{header}: got no ") and next(iter(change)) in said


@pytest.mark.parametrize("line", ["", "{", "{}", "[1]", '{"file": 0, "row": true}', '{"file": -1, "row": 0}', "\udcff"])
def test_a_broken_line_in_the_middle_is_named_with_its_number(folders, line):
    results = folders[1] / "results.jsonl"
    first, _, last = results.read_text().splitlines()
    results.write_bytes(f"{first}\n{line}\n{last}\n".encode("utf-8", "surrogateescape"))
    for said in refusals(*folders):
        assert said.startswith(f"{results}, line 2: got ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": 7}, "file 7, expected less than 1"),
        ({"iou": float("nan")}, "iou nan"),
        ({"score": "1"}, "score '1'"),
        ({"accuracy": None}, "accuracy None"),
        ({"kind": 5, "data_source": None}, "data_source None; kind 5"),
        ({"status": "rejected"}, "reason None"),
        ({"response": None}, "response None"),
    ],
)
def test_a_line_with_a_wrong_value_is_named_with_its_number(folders, change, message):
    results = folders[1] / "results.jsonl"
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    lines[1] |= change
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for said in refusals(*folders):
        assert said.startswith(f"{results}, line 2: got {message}")


def test_a_row_that_the_data_does_not_have_is_named(folders):
    for folder, changes in zip(folders, ({"row": 9}, {"row": 9, "accuracy": 0.0}), strict=True):
        results = folder / "results.jsonl"
        *lines, last = results.read_text().splitlines()
        results.write_text("\n".join([*lines, json.dumps(json.loads(last) | changes)]) + "\n")
    with pytest.raises(SystemExit, match="val.parquet: got row 9 in results.jsonl, expected less than 3"):
        main(["compare", *map(str, folders), "--out", str(folders[0].parent / "out")])


def test_a_last_line_that_was_cut_off_is_left_out(folders, capsys):
    results = folders[1] / "results.jsonl"
    results.write_text(results.read_text()[:-10])
    assert main(["compare", *map(str, folders)]) == 0
    assert "2 rows in both, 1 in one alone" in capsys.readouterr().out


def test_a_folder_without_results_and_an_output_that_is_a_file_are_one_line(folders):
    results = folders[1] / "results.jsonl"
    with pytest.raises(SystemExit, match="--out .*results.jsonl: got File exists, expected a folder"):
        main(["compare", *map(str, folders), "--out", str(results)])
    with pytest.raises(SystemExit, match="--out .*results.jsonl: got File exists, expected a folder"):
        main(["export", str(folders[1]), "--to", "vlmevalkit", "--out", str(results)])
    results.unlink()
    for said in refusals(*folders):
        assert said.startswith(f"{folders[1]}: got no results.jsonl")
