"""Histograms against counts by hand, and the pages that show them."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from evaluation_run import evaluate, job, own_row, write
from test_report import GOLD, QUESTIONS, record, write_dump, write_metrics

from verl_plugins.evaluate.command_line import main
from verl_plugins.report.distributions import iou_and_score, validation_distributions
from verl_plugins.report.histogram import Histogram, histogram, histogram_chart, score_range
from verl_plugins.report.validation_rows import ValidationRows
from verl_plugins.report.write_report import write_report

RIGHT, HALF = "<answer>[0, 0, 10, 10]</answer>", "<answer>[0, 0, 10, 4]</answer>"


def counts(**by_bin):
    """Twenty counts: b3=2 is two in the bin of number 3."""
    return [by_bin.get(f"b{number}", 0) for number in range(20)]


def test_values_are_counted_in_twenty_bins_of_a_twentieth():
    # 0 and 0.049: [0, 0.05). 0.05: its upper bin. 0.7 + 0.1 is 0.7999…, and means 0.8: bin 16. 0.999 and 1: the last
    bars = histogram([0.0, 0.049, 0.05, 0.4, 0.7 + 0.1, 0.999, 1.0])
    assert list(bars.counts) == counts(b0=2, b1=1, b8=1, b16=1, b19=2)
    assert bars.as_json() == {"low": 0.0, "high": 1.0, "counts": counts(b0=2, b1=1, b8=1, b16=1, b19=2)}
    assert list(histogram([]).counts) == counts()


def test_every_edge_counts_in_its_upper_bin():
    assert list(histogram([number / 20 for number in range(21)]).counts) == [1] * 19 + [2]
    assert list(histogram([number / 10 for number in range(21)], 0.0, 2.0).counts) == [1] * 19 + [2]


def test_it_counts_as_numpy_does():
    values = np.random.default_rng(3).uniform(-1, 2, 5000)
    expected, _ = np.histogram(values, bins=20, range=(-1, 2))
    assert list(histogram(values.tolist(), -1.0, 2.0).counts) == expected.tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], (0, 1)), ([0.2], (0, 1)), ([0.0, 1.5], (0, 2)), ([-0.1, 1.0], (-1, 1)), ([3.0], (0, 3))],
)
def test_scores_are_enclosed_by_whole_numbers(values, expected):
    assert score_range(values) == expected


def test_the_bars_have_the_heights_of_the_counts():
    svg = histogram_chart("b", "t <", "IoU", Histogram(0.0, 1.0, tuple(counts(b0=1, b19=4))), highest=8)
    assert "t &lt;" in svg and "5 values in 20 bins from 0 to 1" in svg
    bars = ElementTree.fromstring(svg).findall("rect")
    heights = [float(bar.get("height")) for bar in bars]
    assert len(bars) == 20 and heights[1:19] == [0] * 18
    assert heights[0] == pytest.approx(154 / 8, abs=0.1) and heights[19] == pytest.approx(154 / 2, abs=0.1)
    assert bars[19].find("title").text == "0.95 to 1: 4"
    edges = [(float(bar.get("x")), float(bar.get("x")) + float(bar.get("width"))) for bar in bars]
    assert all(end < start for (_, end), (start, _) in zip(edges, edges[1:], strict=False))
    assert float(bars[19].get("y")) + heights[19] == pytest.approx(220 - 40, abs=0.1)


def test_two_runs_are_counted_in_the_same_bins():
    both = iou_and_score("x", {"A": [], "B": []}, {"A": [0.5], "B": [1.5]})
    assert list(both) == ["score"] and both["score"].label == "Score, x"
    assert [each.high for each in both["score"].histograms.values()] == [2, 2]


def test_the_summary_has_the_counts_and_the_page_the_bars(tmp_path):
    rows = [own_row(number) for number in range(4)]
    rows += [own_row(number, gold="7", source="mmk12", split="test") for number in range(4, 6)]
    rows.append({**own_row(6), "prompt": []})  # rejected, counted nowhere
    data = write(tmp_path / "val.parquet", rows)
    answers = [RIGHT, HALF, "nothing", RIGHT, "<think>.</think>\\boxed{7}", "\\boxed{8}"]
    a_job = job(tmp_path, data)
    _, _, lines, summary = evaluate(a_job, lambda number: answers[number])
    boxes = summary["grounding"]["refcoco val"]["histograms"]
    assert boxes["iou"] == {"low": 0, "high": 1, "counts": counts(b0=1, b8=1, b19=2)}  # 1, 0.4, 0, 1
    # IoU and half a point for the form: 1.5, 0.9, 0, 1.5, in bins of a tenth
    assert boxes["score"] == {"low": 0, "high": 2, "counts": counts(b0=1, b9=1, b15=2)}
    maths = summary["answers"]["mmk12 test"]["histograms"]
    assert list(maths) == ["score"] and sum(maths["score"]["counts"]) == 2
    assert all("histograms" not in each for each in summary["answers"]["mmk12 test"]["type"].values())
    page = (tmp_path / "out" / "report.html").read_text()
    titles = re.findall(r'<figure class="chart"><h3>(.*?)</h3>', page)
    assert titles == ["IoU, refcoco val", "Score, refcoco val", "Score, mmk12 test"]
    assert "<title>0.4 to 0.45: 1</title>" in page


def test_a_comparison_shows_both_runs_side_by_side_on_one_scale(tmp_path):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(4)])
    evaluate(job(tmp_path, data, "a"), lambda number: HALF)
    evaluate(job(tmp_path, data, "b"), lambda number: RIGHT if number else HALF)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c")]) == 0
    groups = json.loads((tmp_path / "c" / "comparison.json").read_text())["groups"]
    iou = groups["refcoco"]["histograms"]["iou"]
    assert iou["a"]["counts"] == counts(b8=4) and iou["b"]["counts"] == counts(b8=1, b19=3)
    page = (tmp_path / "c" / "comparison.html").read_text()
    titles = re.findall(r'<figure class="chart"><h3>(.*?)</h3>', page)
    assert titles == ["IoU, refcoco, A", "IoU, refcoco, B", "Score, refcoco, A", "Score, refcoco, B"]
    tops = re.findall(r'text-anchor="end">(\d+)</text>', page)
    assert tops == ["4", "0"] * 4


def test_a_report_shows_the_first_and_the_last_validation(tmp_path):
    write_metrics(tmp_path, [record(step, {"critic/score/mean": 0.1}) for step in range(1, 5)])
    for step, iou in ((0, 0.1), (2, 0.5), (4, 0.9), (6, 1.0)):  # 6 was thrown away by a resume
        write_dump(tmp_path, step, [iou] * 3, QUESTIONS[:3])
    words = {"input": "i", "output": "o", "gts": "42", "score": 1.0, "iou": 0.0}  # an answer in words has no IoU
    with (tmp_path / "validation" / "4.jsonl").open("a") as file:
        file.write(json.dumps(words) + "\n" + json.dumps({"gts": GOLD, "score": None, "iou": None}) + "\n")
    iou, score = validation_distributions([("", tmp_path, 4)], [ValidationRows([])])
    assert {name: list(each.counts) for name, each in iou.histograms.items()} == {
        "step 0": counts(b2=3),
        "step 4": counts(b18=3),
    }
    assert list(score.histograms["step 4"].counts) == counts(b18=3, b19=1)
    page = write_report([tmp_path])[0].read_text()
    titles = re.findall(r"<h3>((?:IoU|Score), .*?)</h3>", page)
    assert titles == ["IoU, step 0", "IoU, step 4", "Score, step 0", "Score, step 4"]


def test_a_report_without_dumps_says_what_to_set(tmp_path):
    write_metrics(tmp_path, [record(1, {"critic/score/mean": 0.1})])
    assert "no validation dumps; train with run_dir=RUN_DIR." in write_report([tmp_path])[0].read_text()
