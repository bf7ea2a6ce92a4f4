"""Exports to VLMEvalKit and lmms-eval, field by field as their own code reads them."""

import ast
import csv
import json

import pytest
from benchmark_folders import LAYOUTS, write_files
from evaluation_run import evaluate, job, own_row, write

from verl_plugins.evaluate.command_line import main


@pytest.fixture
def run(tmp_path):
    folders = [write_files(tmp_path / name, LAYOUTS[name]) for name in LAYOUTS]
    own = write(tmp_path / "val.parquet", [own_row(0)])
    golds = {"math_vision": "C", "mathverse": "B", "hallusion_bench": "yes", "we_math": "A", "mathvista": "1.2"}
    answers = iter([*(golds[name] for name in LAYOUTS for _ in range(2 if name == "hallusion_bench" else 1)), "x"])
    evaluate(job(tmp_path, (*folders, own)), lambda _: f"So\n\\boxed{{{next(answers)}}}")
    return tmp_path / "out"


def export(run, suite):
    out = run.parent / suite
    assert main(["export", str(run), "--to", suite, "--out", str(out)]) == 0
    return out


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_vlmevalkit_gets_a_table_of_predictions_per_data_set(run, capsys):
    out = export(run, "vlmevalkit")
    name = f"{run.parent.name}__model"
    datasets = ["HallusionBench", "MathVerse_MINI", "MathVision", "MathVista_MINI", "WeMath"]
    assert sorted(path.name for path in out.iterdir()) == [f"{name}_{dataset}.tsv" for dataset in datasets]
    assert str(out / f"{name}_WeMath.tsv") in capsys.readouterr().out
    rows = {dataset: table(out / f"{name}_{dataset}.tsv") for dataset in datasets}
    assert all(row["prediction"].startswith("So\n\\boxed{") for each in rows.values() for row in each)

    (row,) = rows["MathVista_MINI"]
    assert row["question"] == "Hint: a number.\nQuestion: How long? (Unit: cm)"
    expected = {"index": "1", "answer": "1.2", "answer_type": "float", "question_type": "free_form", "choices": "[]"}
    assert expected.items() <= row.items() and row["verl_plugins_accuracy"] == "1.0"
    assert (row["task"], ast.literal_eval(row["skills"])) == ("geometry problem solving", ["geometry reasoning"])

    (row,) = rows["MathVision"]
    assert (row["index"], row["answer"], row["category"]) == ("7", "C", "counting")
    assert ast.literal_eval(row["choices"]) == ["2", "4", "6"]

    (row,) = rows["MathVerse_MINI"]
    assert row["question_for_eval"] == "Find AB.\nChoices:\nA:3\nB:4\nC:5\nD:6"
    assert row["problem_version"] == "Text Dominant"
    assert json.loads(row["metadata"].replace("'", '"'))["subfield"] == "Length"  # as their evaluator reads it

    with_image, without = rows["HallusionBench"]
    assert (with_image["index"], without["index"]) == ("VD_illusion_1_4_1_2", "VS_illusion_0_4_0_2")
    assert with_image["index"].split("_")[3:] == ["4", "1", "2"]  # set, figure and question
    assert (with_image["answer"], with_image["category"], with_image["l2-category"]) == ("Yes", "VD", "illusion")
    assert (without["answer"], without["verl_plugins_accuracy"]) == ("No", "0.0")

    (row,) = rows["WeMath"]
    assert (row["index"], row["ID"], row["key"], row["answer"]) == ("1", "2steps_1", "2steps_1", "B")
    assert [row[letter] for letter in "ABCD"] == ["12", "3.5", "\\pi", "No correct answer"]
    assert (row["knowledge concept"], row["verl_plugins_accuracy"]) == ("Area of Circles", "0.0")


def test_lmms_eval_gets_samples_and_results(run):
    out = export(run, "lmms_eval") / f"{run.parent.name}__model"
    (results_path,) = out.glob("*_results.json")
    stamp = results_path.name.removesuffix("_results.json")
    results = json.loads(results_path.read_text())
    accuracies = {
        "mathvista_testmini_format": 1.0,
        "mathverse_testmini": 1.0,
        "mathvision_test": 1.0,
        "wemath_testmini_reasoning": 0.0,
    }
    assert {task: each["verl_plugins_score,none"] for task, each in results["results"].items()} == accuracies
    assert results["date"] == stamp and results["model_name"] == out.name
    assert set(results["n-samples"]) == set(results["task_hashes"]) == set(results["configs"]) == set(accuracies)
    for task, accuracy in accuracies.items():
        (sample,) = [json.loads(line) for line in (out / f"{stamp}_samples_{task}.jsonl").read_text().splitlines()]
        assert (sample["doc_id"], sample["verl_plugins_score"]) == (0, accuracy)
        assert sample["filtered_resps"].startswith("So\n\\boxed{") and len(sample["doc_hash"]) == 64
        assert [key for key in sample if "score" in key] == ["verl_plugins_score"]  # the first is what they take


def test_an_export_needs_the_data_that_was_evaluated(run):
    (run.parent / "math_vision" / "images" / "7.jpg").write_bytes(b"another")
    with pytest.raises(SystemExit, match=r"test\.jsonl: got no such file, or another than was evaluated"):
        export(run, "vlmevalkit")


def test_an_evaluation_without_a_benchmark_is_not_exported(tmp_path):
    evaluate(job(tmp_path, write(tmp_path / "val.parquet", [own_row(0)])), lambda _: "x")
    with pytest.raises(
        SystemExit, match="got no answer to a question that lmms_eval has, expected these splits: mathv"
    ):
        export(tmp_path / "out", "lmms_eval")
    with pytest.raises(SystemExit, match="got no evaluation"):
        export(tmp_path, "vlmevalkit")


def test_row_numbers_of_two_files_are_no_doc_ids(tmp_path):
    folders = [write_files(tmp_path / name, LAYOUTS["math_vision"]) for name in "ab"]
    evaluate(job(tmp_path, tuple(folders), reward={}), lambda _: "x")
    with pytest.raises(SystemExit, match="got two files of mathvision_test, expected one"):
        export(tmp_path / "out", "lmms_eval")
