"""`python -m reward_fns check`: which golds of a parquet file cannot be earned, and what the report says of them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reward_fns.__main__ import main
from reward_fns.earnable import gold_type, unearnable_gold
from reward_fns.forms import FORMS, perfect_response
from reward_fns.settings import reported

SIZE = {"orig_w": 640, "orig_h": 480}
CHOICES = ["3", "5", "7", "9"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", ["7", "\\frac{1}{2}", "[10, 20, 30, 40]", "\\{1, 2\\}", "a{}b"])
def test_a_perfect_response_keeps_its_form_and_has_the_answer(form, answer):
    find, keeps = FORMS[form]
    response = perfect_response(answer, form)
    assert keeps(response)
    assert find(response) == answer


@pytest.mark.parametrize(
    ("source", "gold", "info", "settings", "status"),
    [
        ("mmk12", "12", {}, {}, None),
        ("mmk12", "12", {}, {"math": {"form": "answer"}}, None),
        ("mmk12", "\\frac{1}{", {}, {}, "no_answer"),  # no closed box can hold it
        ("mmk12", "x" * 2000, {}, {"math": {"form": "answer"}}, "bad_gold"),
        ("mmk12", "", {}, {}, "no_answer"),
        ("mmk12", None, {}, {}, "bad_gold"),
        ("mmk12", 12, {}, {}, "bad_gold"),
        ("geometry3k", "B", {"choices": CHOICES}, {}, None),
        ("geometry3k", "E", {"choices": CHOICES}, {}, "bad_gold"),
        ("refcoco", "[10, 20, 30, 40]", {}, {}, None),
        ("refcoco", "[[10, 20, 30, 40], [1, 2, 3, 4]]", {}, {}, None),
        ("refcoco", "[]", {}, {}, None),
        ("refcoco", "[10, 20, 10, 40]", {}, {}, "bad_gold"),
        ("refcoco", "a dog", {}, {}, "bad_gold"),
        ("refcoco", None, {}, {}, "bad_gold"),
        ("refcoco", "[10, 20, 30, 40]", SIZE, {"grounding": {"box_space": "0-1000"}}, None),
        ("refcoco", "[10, 20, 30, 40]", SIZE, {"grounding": {"box_space": "processed", "patch_size": 14}}, None),
        ("refcoco", "[10, 20, 30, 40]", {}, {"grounding": {"box_space": "0-1000"}}, "error"),
        ("shapes_reasoning", "red", {}, {}, None),
        ("shapes_reasoning", "", {}, {}, "bad_gold"),
        ("coco", "12", {}, {}, "error"),
        ("coco", "12", {}, {"routes": {"coco": "math"}}, None),
        ("coco", "12", {}, {"reward": "math"}, None),
        ("coco", "12", {}, {"reward": "math", "preset": "mm_eureka"}, None),
        ("coco", "[1, 2, 3, 4]", {}, {"reward": "grounding", "form": "boxed"}, None),
    ],
)
def test_which_golds_cannot_be_earned(source, gold, info, settings, status):
    assert unearnable_gold(source, gold, info, **settings) == status


@pytest.mark.parametrize(
    ("gold", "reward", "kind"),
    [
        ("[1, 2, 3, 4]", "grounding", "1 box"),
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", "grounding", "several boxes"),
        ("[]", "grounding", "no object"),
        ("dog", "grounding", "unreadable"),
        ("12", "math", "number"),
        ("B", "math", "choice"),
        (np.array(["12", "13"]), "math", "number"),
        (None, "math", "unreadable"),
        ("red", "boxed", "word"),
    ],
)
def test_types_of_golds(gold, reward, kind):
    assert gold_type(gold, reward) == kind


def write(path, rows, **more):
    table = [
        {"data_source": source, "reward_model": {"style": "rule", "ground_truth": gold}, "extra_info": info, **more}
        for source, gold, info in rows
    ]
    pq.write_table(pa.Table.from_pylist(table), path)
    return str(path)


def test_the_report_names_the_rows_and_the_exit_code_is_1(tmp_path, capsys):
    golds = [("mmk12", "12", {"id": "a"}), ("mmk12", "$\\frac{1}{2$", {"id": "b"}), ("refcoco", "[1, 2, 3, 4]", {})]
    file = write(tmp_path / "train.parquet", golds, images=[{"bytes": b"no image", "path": None}])
    with pytest.raises(SystemExit) as ended:
        main(["check", file])
    assert ended.value.code == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:4] == ["mmk12", "math", "2", "1"]
    assert lines[2] == ["refcoco", "grounding", "1", "0", "1", "box", "1"]
    assert lines[4:] == [["mmk12,", "no_answer:", "1", "rows"], ["train.parquet,", "row", "1:", "'$\\\\frac{1}{2$'"]]


def test_golds_that_can_all_be_earned_end_with_0_and_settings_are_those_of_the_run(tmp_path, capsys):
    box = [("refcoco", "[10, 20, 30, 40]", SIZE), ("my_data", "7", SIZE)]
    file = write(tmp_path / "a.parquet", box)
    main(["check", file, file, "--settings", "grounding.box_space=0-1000", "routes.my_data=math"])
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in out[1:]] == [["refcoco", "grounding", "2", "0"], ["my_data", "math", "2", "0"]]
    file = write(tmp_path / "b.parquet", [("any", "7", {"id": "a"})])
    main(["check", file, "--reward", "math", "--settings", "form=boxed"])
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["any", "math", "1", "0"]


def test_an_unknown_data_source_is_an_error_with_one_message(tmp_path, capsys, caplog):
    reported.clear()
    with pytest.raises(SystemExit):
        main(["check", write(tmp_path / "a.parquet", [("coco", str(i), {"id": "a"}) for i in range(9)])])
    out = capsys.readouterr().out
    assert "coco, error: 9 rows" in out and out.count("a.parquet, row") == 5
    assert len(caplog.records) == 1 and "reward_kwargs.routes" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected check"),
        (["chek"], "chek"),
        (["check", "FILE", "--settings", "math.form=box"], "form: got 'box'"),
        (["check", "FILE", "--reward", "math", "--settings", "frm=boxed"], "got frm"),
        (["check", "missing.parquet"], "expected a parquet file"),
    ],
)
def test_wrong_arguments_are_one_message(arguments, message, tmp_path):
    file = write(tmp_path / "a.parquet", [("mmk12", "12", {"id": "a"})])
    with pytest.raises(SystemExit, match=message):
        main([file if argument == "FILE" else argument for argument in arguments])


def test_a_file_without_golds_is_told(tmp_path):
    pq.write_table(pa.table({"prompt": ["?"], "data_source": ["mmk12"]}), tmp_path / "a.parquet")
    with pytest.raises(SystemExit, match="got columns prompt, data_source, expected reward_model"):
        main(["check", str(tmp_path / "a.parquet")])
