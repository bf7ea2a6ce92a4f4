"""An evaluation from its command line to its files, with answers from a plain function."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_run import Answers, evaluate, job, model, own_row, write

from verl_plugins.evaluate.command_line import main, parse_settings, parse_values
from verl_plugins.evaluate.evaluation import run_evaluation
from verl_plugins.evaluate.responder import Response
from verl_plugins.evaluate.settings import Settings

ROOT = Path(__file__).parents[3]
RIGHT, HALF, LOOSE, NONE = (
    "<answer>[0, 0, 10, 10]</answer>",
    "<answer>[0, 0, 10, 4]</answer>",
    "<answer>x</answer><answer>[0, 0, 10, 10]</answer>",
    "I do not know.",
)
KINDS = (RIGHT, HALF, LOOSE, NONE)


def four_kinds(number):
    return KINDS[number % 4]


def test_the_numbers_of_boxes_are_those_of_hand_arithmetic(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(8)])
    code, _, lines, summary = evaluate(job(tmp_path, data), four_kinds)
    assert code == 0
    assert [line["iou"] for line in lines[:4]] == [1.0, 0.4, 1.0, 0.0]  # 10 x 4 of 10 x 10
    assert [line["status"] for line in lines[:4]] == ["ok", "ok", "bad_format", "no_answer"]
    assert [line["boxes"] for line in lines[:4]] == [[[0, 0, 10, 10]], [[0, 0, 10, 4]], [[0, 0, 10, 10]], None]
    numbers = summary["grounding"]["refcoco val"]
    assert numbers["n"] == 8
    assert numbers["accuracy"]["value"] == 0.5  # 4 of 8
    assert numbers["accuracy_in_form"]["value"] == 0.25  # 2 of these have two answer blocks
    assert numbers["iou"]["value"] == pytest.approx(0.6)  # (1 + 0.4 + 1 + 0) / 4
    assert numbers["unread"]["value"] == 0.25
    assert numbers["score"]["value"] == pytest.approx((1.5 + 0.9 + 1.0 + 0) / 4)
    assert numbers["statuses"] == {"ok": 4, "bad_format": 2, "no_answer": 2}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "question 0" in page and "true-box" in page and "predicted-box" in page and "data:image/png" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page  # nothing is loaded


def test_several_files_are_grouped_by_source_and_split(tmp_path):
    first = write(tmp_path / "a.parquet", [own_row(number) for number in range(4)])
    second = write(tmp_path / "b.parquet", [own_row(number, source="refcocog", split="test") for number in range(4)])
    summary = evaluate(job(tmp_path, (first, second)), lambda number: RIGHT)[3]
    assert list(summary["grounding"]) == ["refcoco val", "refcocog test", "all"]
    assert summary["grounding"]["all"]["n"] == 8


def test_maths_is_grouped_by_subject_and_type(tmp_path):
    golds = ["12", "B", "\\sqrt{2}", "red", "1, 2"]
    rows = [
        own_row(number, gold=gold, source="mmk12", subject="physics" if number % 2 else "math")
        for number, gold in enumerate(golds)
    ]
    data = write(tmp_path / "test.parquet", rows)
    answer = {0: "12", 1: "B", 2: "3", 3: "red", 4: "2, 1"}
    summary = evaluate(job(tmp_path, data, reward={}), lambda n: f"<think>.</think>\\boxed{{{answer[n]}}}")[3]
    group = summary["answers"]["mmk12 val"]
    assert group["accuracy"]["value"] == 0.8
    assert {name: each["n"] for name, each in group["type"].items()} == {
        "choice": 1,
        "expression": 1,
        "number": 1,
        "several": 1,
        "words": 1,
    }
    assert group["type"]["expression"]["accuracy"]["value"] == 0.0
    assert group["subject"]["physics"]["accuracy"]["value"] == 1.0
    assert group["subject"]["math"]["accuracy"]["value"] == pytest.approx(2 / 3)


def test_boxes_are_read_in_the_space_of_the_models_family_unless_told(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(0, gold="[4, 3, 8, 6]")])
    a_job = job(tmp_path, data, reward={})
    summary = evaluate(a_job, lambda _: "<answer>[100, 100, 200, 200]</answer>")[3]  # thousandths of 40 x 30
    assert summary["grounding"]["refcoco val"]["iou"]["value"] == 1.0
    assert json.loads((a_job.out / "evaluation.json").read_text())["settings"]["reward"]["grounding"] == {
        "box_space": "0-1000"
    }


def test_a_rejected_row_counts_nowhere_and_a_bad_gold_counts_as_wrong(tmp_path):
    rows = [own_row(0), own_row(1, gold="[0, 0]"), {**own_row(2), "prompt": []}]
    lines, summary = evaluate(job(tmp_path, write(tmp_path / "val.parquet", rows)), lambda _: RIGHT)[2:]
    assert [line["status"] for line in lines] == ["ok", "bad_gold", "rejected"]
    assert summary["rejected"] == {"row_malformed": 1}
    assert summary["grounding"]["refcoco val"]["accuracy"]["value"] == 0.5


def test_stopped_anywhere_it_ends_with_the_same_file(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(10)])
    whole = evaluate(job(tmp_path, data, "whole", batch_size=4), four_kinds)[1]
    assert whole.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    expected = (tmp_path / "whole" / "results.jsonl").read_bytes()
    ends = [0] + [at + 1 for at, byte in enumerate(expected) if byte == ord("\n")]
    for end in [1, ends[3], ends[4] - 1, ends[4], ends[4] + 7, ends[6], ends[8], ends[9] + 1, ends[10]]:
        results = tmp_path / "whole" / "results.jsonl"
        results.write_bytes(expected[:end])
        responder = Answers(four_kinds)
        evaluate(job(tmp_path, data, "whole", batch_size=4), responder)
        assert results.read_bytes() == expected
        done = sum(each <= end for each in ends[1:])
        done = done if done == 10 else done - done % 4
        assert [number for batch in responder.batches for number in batch] == list(range(done, 10))


KILLED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.path[:0] = {folders!r}
from pathlib import Path
from evaluation_run import Answers, job, write, own_row
from verl_plugins.evaluate.responder import Response
from verl_plugins.evaluate.evaluation import run_evaluation
from test_evaluate_run import four_kinds

def slow(number):
    time.sleep(0.05 if number < 30 else 120)  # it is ended before the last row, however slow the machine
    return four_kinds(number)

here = Path({here!r})
raise SystemExit(run_evaluation(job(here, here / "val.parquet", batch_size=2), start=lambda *_: Answers(slow)))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_or_interrupted_it_goes_on(tmp_path, how):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(40)])
    results = tmp_path / "out" / "results.jsonl"
    code = KILLED.format(folders=[str(ROOT / "tests" / "support"), str(Path(__file__).parent)], here=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (results.exists() and results.read_bytes().count(b"\n") >= 6) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, how)
    _, stderr = process.communicate(timeout=60)
    kept = results.read_bytes().count(b"\n")
    assert 6 <= kept < 40
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert f"stopped: {kept} of 40 rows" in stderr and "start the same command again" in stderr
    evaluate(job(tmp_path, data, batch_size=2), four_kinds)
    evaluate(job(tmp_path, data, "undisturbed", batch_size=2), four_kinds)
    assert results.read_bytes() == (tmp_path / "undisturbed" / "results.jsonl").read_bytes()


def test_another_evaluation_is_not_mixed_in(tmp_path):
    rows = [own_row(number) for number in range(4)]
    data = write(tmp_path / "val.parquet", rows)
    evaluate(job(tmp_path, data), four_kinds)

    def refused(a_job):
        with pytest.raises(SystemExit) as refusal:
            run_evaluation(a_job, start=lambda *_: Answers(four_kinds))
        assert "holds the results of another evaluation" in str(refusal.value)
        return str(refusal.value)

    assert "settings.temperature: got 1.0, there it is 0.0" in refused(job(tmp_path, data, temperature=1.0))
    assert "format_weight" in refused(
        job(tmp_path, data, reward={"grounding": {"format_weight": 1.0, "box_space": "pixels"}})
    )
    write(data, [*rows[:3], own_row(3, gold="[1, 1, 2, 2]")])
    assert "data.0.sha256" in refused(job(tmp_path, data))
    write(data, rows)
    evaluate(job(tmp_path, data), four_kinds)  # the same again: nothing is asked, nothing refused
    weights = model(tmp_path) / "model.safetensors"
    changed = job(tmp_path, data)
    weights.write_bytes(b"1123456789" * 1000)
    assert "model.sha256" in refused(changed)


@pytest.mark.parametrize("left", [None, "", '{"file": 0, "ro'], ids=["no file", "empty", "half a line"])
def test_a_start_that_failed_before_its_first_answer_leaves_the_folder_free(tmp_path, left):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(4)])

    def fails(*_):
        raise RuntimeError("vLLM does not start")

    with pytest.raises(RuntimeError):
        run_evaluation(job(tmp_path, data, limit=2), start=fails)
    if left is not None:
        (tmp_path / "out" / "results.jsonl").write_text(left)
    lines = evaluate(job(tmp_path, data), four_kinds)[2]
    assert len(lines) == 4
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["settings"]["limit"] is None


def test_what_another_evaluation_attacked_is_kept(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(0)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "attacked.jsonl").write_text('{"file": 0, "row": 0}\n')
    with pytest.raises(SystemExit, match="got results without evaluation.json"):
        run_evaluation(job(tmp_path, data), start=lambda *_: Answers(four_kinds))


def test_two_evaluations_do_not_write_to_one_folder(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(0)])

    def start(*_):
        with pytest.raises(SystemExit, match="another evaluation writes there"):
            run_evaluation(job(tmp_path, data), start=lambda *_: Answers(four_kinds))
        return Answers(four_kinds)

    assert run_evaluation(job(tmp_path, data), start=start) == 0


def test_seeds_hang_on_the_row_and_not_on_where_the_run_was_stopped(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(5)])
    keys = evaluate(job(tmp_path, data, batch_size=2), four_kinds)[1].keys
    assert len(set(keys)) == 5
    again = evaluate(job(tmp_path, data, "limited", limit=3), four_kinds)[1].keys
    assert again == keys[:3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "missing.parquet"}, "--data .*missing.parquet: got no such file"),
        ({"data": "text.parquet"}, "--data .*: expected a parquet file, got"),
        ({"data": "empty.parquet"}, "--data .*: got 0 rows"),
        ({"data": "columns.parquet"}, "got the columns a, expected those of one of: own: data_source, prompt"),
        ({"data": "unknown.parquet"}, "data_source: got 'holiday', expected a beginning of .*--reward"),
        ({"reward": {"grounding": {"form": "anwser"}}}, "form: got 'anwser'.*reward_kwargs.grounding.form"),
        ({"reward": {"grouding": {"form": "answer"}}}, "got grouding, expected some of"),
        ({"reward": {"math": {"timeout_s": "2 s"}}}, "timeout_s: got '2 s', expected a number"),
        ({"reward": {"routes": {"holiday": "boxes"}}}, "routes.holiday: got 'boxes'"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_one_message(tmp_path, change, message):
    write(tmp_path / "good.parquet", [own_row(0)])
    (tmp_path / "text.parquet").write_text("no parquet")
    write(tmp_path / "columns.parquet", [{"a": 1}])
    write(tmp_path / "unknown.parquet", [own_row(0, source="holiday")])
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(tmp_path / "good.parquet").slice(0, 0), tmp_path / "empty.parquet")
    a_job = job(tmp_path, tmp_path / change.get("data", "good.parquet"), reward=change.get("reward", {}))
    with pytest.raises(SystemExit, match=message):
        run_evaluation(a_job, start=lambda *_: Answers(four_kinds))
    assert not (tmp_path / "out").exists()


class Half(Answers):
    """Cannot ask the second half of the rows."""

    def __call__(self, rows, keys, attack=None):
        answers = super().__call__(rows, keys)
        problem = Response("UnidentifiedImageError: cannot identify", 0, "", "prompt_error")
        return [problem if row["extra_info"]["index"] >= 2 else each for row, each in zip(rows, answers, strict=True)]


def test_a_row_that_cannot_be_asked_counts_as_wrong_and_the_page_says_why(tmp_path):
    rows = [own_row(number) for number in range(4)]
    rows[2]["images"] = [{"bytes": b"no image", "path": None}]
    rows[3]["images"] = [{"bytes": None, "path": "gone.jpg"}]
    data = write(tmp_path / "val.parquet", rows)
    summary = evaluate(job(tmp_path, data), Half(lambda _: RIGHT))[3]["grounding"]["refcoco val"]
    assert summary["accuracy"]["value"] == 0.5 and summary["statuses"] == {"ok": 2, "prompt_error": 2}
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("No picture:") == 2 and "gone.jpg" in page


def test_a_full_disk_is_one_message_and_nothing_is_lost(tmp_path, monkeypatch):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(6)])
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit, match="No space left on device.*start the same command again"):
        run_evaluation(job(tmp_path, data, batch_size=2), start=lambda *_: Answers(four_kinds))
    lines = evaluate(job(tmp_path, data, batch_size=2), four_kinds)[2]
    assert [line["row"] for line in lines] == list(range(6))


def test_settings_out_of_range_are_named():
    for name in ("sample", "limit", "max_prompt_length", "max_response_length", "batch_size"):
        with pytest.raises(SystemExit, match=f"--{name.replace('_', '-')}: got 0, expected at least 1"):
            Settings(**{name: 0})
    with pytest.raises(SystemExit, match="--temperature: got -1"):
        Settings(temperature=-1)


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        ({"min_pixels": 1, "max_pixels": "abc"}, "max_pixels: got 'abc', expected a whole number, at least 1"),
        ({"min_pixels": 0, "max_pixels": 9}, "min_pixels: got 0"),
        ({"min_pixels": 1, "max_pixels": None}, "max_pixels: got None"),
        ({"min_pixels": True, "max_pixels": 9}, "min_pixels: got True"),
        ({"min_pixels": 10, "max_pixels": 9}, "min_pixels: got 10, expected at most max_pixels, which is 9"),
        ({"max_patches": 1.5}, "max_patches: got 1.5"),
        ({"crop_to_patches": "no"}, "crop_to_patches: got 'no', expected true or false"),
    ],
)
def test_a_processors_settings_are_checked_before_the_model_is_loaded(processor, message):
    with pytest.raises(SystemExit, match=f"--processor {message}"):
        Settings(processor=processor)


@pytest.mark.parametrize("value", ["[", "a: b: c", "{", "2020-01-01", "'"])
def test_a_value_that_is_no_yaml_is_one_line(value):
    for option, name in (("--reward", "grounding.form"), ("--processor", "max_pixels"), ("--chat-template", "x")):
        with pytest.raises(SystemExit) as refusal:
            parse_settings([f"{name}={value}"]) if option == "--reward" else parse_values(option, [f"{name}={value}"])
        assert str(refusal.value).startswith(f"{option}: got ") and "\n" not in str(refusal.value)


def test_a_misspelt_format_is_answered_with_the_known_ones(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(0)])
    a_job = replace(job(tmp_path, data), form="refcoco")
    with pytest.raises(SystemExit, match="--format: got refcoco, expected one of own, "):
        run_evaluation(a_job, start=lambda *_: Answers(four_kinds))


def test_a_results_folder_that_is_a_file_is_one_line(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(0)])
    with pytest.raises(SystemExit, match="--out .*val.parquet: got File exists, expected a folder"):
        run_evaluation(job(tmp_path, data, out="val.parquet"), start=lambda *_: Answers(four_kinds))


def test_reward_settings_are_yaml_by_reward():
    assert parse_settings(["grounding.form=answer", "grounding.format_weight=1.0", "routes.a.b=math"]) == {
        "grounding": {"form": "answer", "format_weight": 1.0},
        "routes": {"a.b": "math"},
    }
    with pytest.raises(SystemExit, match="got 'form', expected REWARD.SETTING=VALUE"):
        parse_settings(["form=answer"])


def test_half_a_judge_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="--judge, --judge-model: got one of them"):
        main(["--model", "m", "--data", "d", "--out", str(tmp_path / "o"), "--judge", "http://x"])


def test_help_imports_nothing_heavy():
    code = (
        "import runpy, sys\nsys.argv = ['x', '--help']\ntry:\n"
        " runpy.run_module('verl_plugins.evaluate', run_name='__main__')\n"
        "except SystemExit:\n print(sorted({'torch', 'verl', 'vllm', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--judge-model" in done.stdout
    assert done.stdout.strip().endswith("[]")
