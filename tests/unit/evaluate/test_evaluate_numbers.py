"""Every interval and test against an independent computation, and two evaluations side by side."""

import json
import math
import random
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from evaluation_run import evaluate, job, own_row, write

from verl_plugins.evaluate import intervals
from verl_plugins.evaluate.command_line import main
from verl_plugins.evaluate.data_rows import choose_rows


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 10), (81, 263), (1999, 2000)])
def test_wilsons_interval_is_where_the_score_test_turns(hits, n):
    """Its ends p solve |share - p| = z sqrt(p (1 - p) / n), found here by bisection."""
    share = hits / n

    def excess(p):
        return abs(share - p) - 1.959963984540054 * math.sqrt(p * (1 - p) / n)

    def root(outside, inside):
        for _ in range(200):
            middle = (outside + inside) / 2
            outside, inside = (middle, inside) if excess(middle) > 0 else (outside, middle)
        return inside

    result = intervals.proportion([True] * hits + [False] * (n - hits))
    assert (result.n, result.value) == (n, share)
    assert result.low == pytest.approx(root(0.0, share) if hits else 0.0, abs=1e-9)
    assert result.high == pytest.approx(root(1.0, share) if hits < n else 1.0, abs=1e-9)


def test_wilsons_interval_of_a_textbook():
    result = intervals.proportion([True] * 81 + [False] * 182)  # Newcombe 1998, table I: 0.2553 to 0.3662
    assert (round(result.low, 4), round(result.high, 4)) == (0.2553, 0.3662)


def test_the_bootstrap_of_a_mean_agrees_with_the_normal_interval_on_many_rows():
    values = np.random.default_rng(1).beta(0.5, 0.5, 3000).tolist()
    result = intervals.mean(values)
    half = 1.96 * np.std(values, ddof=1) / math.sqrt(len(values))
    assert result.value == pytest.approx(np.mean(values))
    assert result.low == pytest.approx(np.mean(values) - half, abs=0.1 * half)
    assert result.high == pytest.approx(np.mean(values) + half, abs=0.1 * half)
    assert result == intervals.mean(values)  # seeded


def test_the_bootstrap_of_two_rows_is_the_exact_distribution():
    result = intervals.mean([0.0, 1.0])  # means 0, 0.5, 1 with probabilities 1/4, 1/2, 1/4
    assert (result.value, result.low, result.high) == (0.5, 0.0, 1.0)
    assert intervals.mean([0.3]) == intervals.Estimate(1, 0.3, 0.3, 0.3)


def test_nothing_has_no_interval():
    assert intervals.proportion([]) == intervals.mean([]) == intervals.Estimate(0)
    assert str(intervals.Estimate(0)) == "–"


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 0), (3, 3), (2, 9), (30, 12), (700, 600)])
def test_mcnemar_is_the_two_sided_binomial_test(gained, lost):
    n = gained + lost
    observed = math.comb(n, gained)
    as_extreme = sum(math.comb(n, k) for k in range(n + 1) if math.comb(n, k) <= observed)
    assert intervals.mcnemar(gained, lost) == pytest.approx(float(Fraction(as_extreme, 2**n)))


def test_sign_flips_agree_with_all_of_them():
    differences = [0.4, -0.1, 0.3, 0.25, 0.0, 0.5, -0.2, 0.15]
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=8)]
    exact = sum(each >= abs(sum(differences)) - 1e-9 for each in sums) / len(sums)
    assert intervals.sign_flips(differences) == pytest.approx(exact, abs=0.015)
    assert intervals.sign_flips([0.0, 0.0]) == 1.0
    assert intervals.sign_flips([1.0] * 40) == pytest.approx(1 / 10_001)


def test_a_sample_is_vlm_r1s():
    """Its evaluation seeds with 42, shuffles the data and takes the first 2,000."""
    data = list(range(10_834))
    random.seed(42)
    random.shuffle(data)
    assert choose_rows(10_834, 2000, None, 42) == tuple(sorted(data[:2000]))
    assert choose_rows(5, 2000, None, 42) == (0, 1, 2, 3, 4)
    assert choose_rows(100, None, 3, 42) == (0, 1, 2)
    assert choose_rows(100, 10, 3, 42) == choose_rows(100, 10, None, 42)[:3]


BOXES = {"right": "<answer>[0, 0, 10, 10]</answer>", "half": "<answer>[0, 0, 10, 4]</answer>", "none": "?"}


def test_two_evaluations_side_by_side(tmp_path, capsys):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(12)])
    first = ["right"] * 3 + ["half"] * 5 + ["none"] * 4
    second = ["right"] * 2 + ["none"] + ["right"] * 4 + ["half"] * 5
    evaluate(job(tmp_path, data, "a"), lambda number: BOXES[first[number]])
    evaluate(job(tmp_path, data, "b", sample=12), lambda number: BOXES[second[number]])
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c")]) == 0
    printed = capsys.readouterr().out
    assert "12 rows in both" in printed and "different settings: sample" in printed
    result = json.loads((tmp_path / "c" / "comparison.json").read_text())["groups"]["refcoco"]
    accuracy, iou = result["accuracy"], result["iou"]
    assert (accuracy["a"], accuracy["b"]) == (3 / 12, 6 / 12)
    assert (accuracy["gained"], accuracy["lost"]) == (4, 1)  # rows 3 to 6; row 2
    assert accuracy["p"] == pytest.approx(12 / 32)  # 2 (1 + 5) / 2^5
    assert accuracy["difference"]["value"] == pytest.approx(3 / 12)
    assert accuracy["difference"]["low"] < 0 < accuracy["difference"]["high"]
    assert iou["a"] == pytest.approx((3 + 5 * 0.4) / 12) and iou["b"] == pytest.approx((6 + 5 * 0.4) / 12)
    assert iou["difference"]["value"] == pytest.approx(3 / 12)
    page = (tmp_path / "c" / "comparison.html").read_text()
    only_b, only_a = page.split("Only A right")[-2:]
    assert [f"question {n}<" in only_b for n in (2, 3, 6)] == [False, True, True]
    assert "question 2<" in only_a and "question 3<" not in only_a
    assert page.count("data:image/png") == 5  # one picture a changed row, used twice


def test_only_rows_of_the_same_files_are_compared(tmp_path, capsys):
    one = write(tmp_path / "one.parquet", [own_row(number) for number in range(6)])
    other = write(tmp_path / "other.parquet", [own_row(number, gold="[1, 1, 9, 9]") for number in range(3)])
    evaluate(job(tmp_path, (other, one), "a"), lambda _: BOXES["right"])
    evaluate(job(tmp_path, one, "b", limit=4), lambda _: BOXES["none"])
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "4 rows in both, 5 in one alone, left out" in capsys.readouterr().out
    evaluate(job(tmp_path, other, "d"), lambda _: BOXES["none"])
    with pytest.raises(SystemExit, match="got no row that both evaluated"):
        main(["compare", str(tmp_path / "b"), str(tmp_path / "d")])
    with pytest.raises(SystemExit, match="got no evaluation.json"):
        main(["compare", str(tmp_path), str(tmp_path / "d")])
