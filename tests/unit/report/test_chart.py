"""Curves of several runs on one pair of axes: their places, ticks, styles and what the script reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from verl_plugins.report.chart import BOTTOM, LEFT, RIGHT, STYLES, TOP, Curve, line_chart, marker, thinned
from verl_plugins.report.ticks import ticks

TEMPLATES = Path(line_chart.__code__.co_filename).parent / "templates"


def lines(svg):
    return [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in ElementTree.fromstring(svg).iter("polyline")
    ]


@pytest.mark.parametrize(
    ("low", "high", "most", "whole", "expected"),
    [
        (0.0, 1.0, 5, False, [0, 0.5, 1]),
        (0.0, 1.0, 6, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.27, 0.83, 5, False, [0.4, 0.6, 0.8]),
        (-3.0, 12.0, 5, False, [0, 5, 10]),
        (1.0, 30.0, 6, True, [5, 10, 15, 20, 25, 30]),
        (1.0, 3.0, 6, True, [1, 2, 3]),  # no half steps
        (29.0, 31.0, 6, True, [29, 30, 31]),
        (4.4e-14, 6.9e-14, 5, False, [4.5e-14, 5e-14, 5.5e-14, 6e-14, 6.5e-14]),
        (1000.0, 250000.0, 5, False, [50000, 100000, 150000, 200000, 250000]),
    ],
)
def test_ticks_are_round_numbers_in_the_range(low, high, most, whole, expected):
    assert ticks(low, high, most, whole) == pytest.approx(expected, rel=1e-9, abs=0)


def test_two_runs_share_the_axes():
    svg = line_chart(
        "c", "A & B", "x < y", [Curve("a", 0, [(0, 1.0), (10, 3.0)]), Curve("b", 1, [(5, 2.0), (20, 5.0)])]
    )
    (a0, a1), (b0, b1) = lines(svg)
    assert a0[0] == LEFT and b1[0] == RIGHT  # steps 0 and 20
    assert a1[0] == pytest.approx((LEFT + RIGHT) / 2, abs=0.1)  # step 10
    # values 1 to 5 and 6% of 4 on either side: 0.76 to 5.24
    heights = {1.0: a0[1], 3.0: a1[1], 2.0: b0[1], 5.0: b1[1]}
    for value, height in heights.items():
        assert height == pytest.approx(BOTTOM - (value - 0.76) / 4.48 * (BOTTOM - TOP), abs=0.1)
    texts = [text.text for text in ElementTree.fromstring(svg).iter("text")]
    assert texts == ["1", "2", "3", "4", "5", "0", "5", "10", "15", "20", "training step", "x < y"]
    assert "a: 2 points, steps 0 to 10, from 1 to 3, minimum 1, maximum 3." in svg and "A &amp; B" in svg


def test_a_single_point_and_a_flat_curve_lie_in_the_middle():
    ((point,),) = lines(line_chart("c", "t", "u", [Curve("", 0, [(3, 0.0)])]))
    assert point == ((LEFT + RIGHT) / 2, (BOTTOM + TOP) / 2)
    ((first, second),) = lines(line_chart("c", "t", "u", [Curve("", 0, [(1, 0.2), (2, 0.2)])]))
    assert first[1] == second[1] == (BOTTOM + TOP) / 2


def test_a_long_curve_keeps_its_peaks():
    points = [(step, float(step % 7)) for step in range(10_000)]
    points[4321] = (4321, 99.0)
    points[8765] = (8765, -99.0)
    drawn = thinned(points, 500)
    assert 400 <= len(drawn) <= 500 and drawn == sorted(drawn)
    assert (4321, 99.0) in drawn and (8765, -99.0) in drawn
    assert thinned(points[:500], 500) == points[:500]


def test_runs_are_told_apart_without_colour():
    """Every style has a dash of its own, and those that share a marker's shape differ in its filling."""
    css = (TEMPLATES / "report.css").read_text()
    dashes = [re.findall(rf"\.run{style} {{[^}}]*--dash: ([^;]+);", css) for style in range(STYLES)]
    assert dashes[0] == [] and len({dash for (dash,) in dashes[1:]}) == STYLES - 1
    assert len({marker(style, 0, 0) for style in range(4)}) == 4
    assert [f".run{style} .marker" in css for style in range(STYLES)] == [False] * 4 + [True] * 4
    for scheme in css.split("@media (prefers-color-scheme: dark)")[:2]:
        colours = re.findall(r"--run\d: (#\w{6});", scheme)
        assert len(colours[:STYLES]) == len(set(colours[:STYLES])) == STYLES


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_stands_out_from_the_card_in_light_and_dark():
    light, dark = (TEMPLATES / "report.css").read_text().split("@media (prefers-color-scheme: dark)")[:2]
    for css, card in ((light, "#ffffff"), (dark, "#1d2125")):
        for colour in re.findall(r"--run\d: (#\w{6});", css):
            bright, dim = sorted((luminance(colour), luminance(card)), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (colour, card)  # WCAG 2.1, AA


def test_the_scripts_copy_of_the_values_is_json(tmp_path):
    from test_report import record, write_metrics

    from verl_plugins.report.write_report import write_report

    write_metrics(tmp_path, [record(step, {"critic/score/mean": step / 3}) for step in (1, 2)])
    html = write_report([tmp_path])[0].read_text()
    values = json.loads(re.search(r'id="values">(.*?)</script>', html, re.DOTALL)[1])
    assert values["chart0x0"]["key"] == "critic/score/mean" and values["chart0x0"]["x"] == [1, 2]
    assert values["chart0x0"]["curves"] == [{"run": "", "style": 0, "steps": [1, 2], "values": [0.333333, 0.666667]}]
    assert re.findall(r'<svg id="(\w+)" class="lines"', html) == list(values)
