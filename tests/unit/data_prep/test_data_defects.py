"""Defects of raw data sets, alone and among good rows, in every converter and raw form."""

import io
import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from data_fixtures import HEIGHT, WIDTH, diagram, encoded
from data_sources import GROUNDING, MATHS
from PIL import Image

from data_prep.__main__ import main

BOX = [10, 20, 30, 40]
TOKENS = ("<video>", "<audio>", "<|", "<IMG_CONTEXT>")
GOOD = encoded()


def _png(mode, **save):
    return encoded(mode, form="PNG", **save)


def _cmyk():
    return encoded("CMYK")


# name: (image, why it is rejected, or None)
IMAGES = {
    "missing": (None, "image_missing"),
    "rgba": (diagram(), None),
    "la": (_png("LA"), None),
    "palette with transparency": (_png("P", transparency=0), None),
    "grey": (encoded("L"), None),
    "one bit": (_png("1"), None),
    "cmyk": (_cmyk(), None),
    "16 bit": (encoded("I;16", form="PNG"), None),
    "small": (encoded(size=(13, 3), form="PNG"), None),  # the processor scales it up
    "narrow": (encoded(size=(28, 5700), form="PNG"), "image_aspect"),
    "truncated": (GOOD[: len(GOOD) // 2], "image_corrupt"),
    "truncated png": (_png("RGB")[:-60], "image_corrupt"),
    "no image": (b"<html>404</html>", "image_corrupt"),
    "empty": (b"", "image_corrupt"),
}
# name: (expression, xywh box, why it is rejected, or None)
EXPRESSIONS = {
    "empty": (" ", BOX, "question_empty"),
    "a literal tag": ("man <image> with <video> and <audio>", BOX, None),
    "a token of the chat": ("man <|image_pad|> with <|vision_end|> and <IMG_CONTEXT>", BOX, None),
    "past the edge": ("dog", [100, 50, WIDTH - 98, HEIGHT - 49], None),
    "outside": ("dog", [100, 50, 900, 900], "box_outside_image"),
    "swapped corners": ("dog", [40, 60, -30, -40], None),
    "no width": ("dog", [40, 60, 0, 10], "box_without_area"),
    "relative": ("dog", [0.1, 0.2, 0.3, 0.4], "box_not_in_pixels"),
    "three numbers": ("dog", [1, 2, 3], "box_malformed"),
    "not finite": ("dog", [1, 2, float("nan"), 4], "box_malformed"),
}
# name: (question, answer, why it is rejected, or the gold answer)
QUESTIONS = {
    "no question": ("<image>", "5", ("question_empty",)),
    "no tag": ("How much?", "5", "5"),
    "tag inside": ("In <image>, how much?", "5", "5"),
    "numbered tag": ("In <image1>, how much?", "5", "5"),
    "two tags": ("<image><image>How much?", "5", ("image_tags",)),
    "literal media": ("<image>Is <video> or <audio> a tag?", "5", "5"),
    "tokens of the chat": ("<image>Is <|image_pad|>, <|im_end|> or <IMG_CONTEXT> a token?", "5", "5"),
    "no answer": ("<image>How much?", " ", ("answer_empty",)),
    "only dollars": ("<image>How much?", "$$$$", ("answer_empty",)),
    "dollars": ("<image>How much?", "$$\\frac{1}{2}$$", "\\frac{1}{2}"),
    "full stop": ("<image>How much?", "$5$。", "5"),
    "boxed": ("<image>How much?", "\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
    "parts": ("<image>How much?", "(1) 5; (2) 6", ("answer_in_parts",)),
    "parts in lines": ("<image>How much?", "5\n6", ("answer_in_parts",)),
    "statements": ("<image>Which are right?", "①②④", "①②④"),
    "a system": ("<image>What?", "$$\\left\\{x=1\\right.$$", "\\left\\{x=1\\right."),
    "one of several": ("<image>Which?", "$$BD=CE$$ (not unique)", ("answer_not_unique",)),
    "a short solution": ("<image>How much?", "∵ a = 2, ∴ b = 5", ("answer_too_long",)),
    "a solution": ("<image>How much?", "Since " + "a = b and " * 40, ("answer_too_long",)),
}


def convert(build, cases, tmp_path) -> tuple[list[dict], list[dict]]:
    """Return the rows written, in the order of the source, and the rejected ones, without asking the reward."""
    out = tmp_path / "out"
    argv = [*build(tmp_path / "raw", cases), "--out", str(out), "--processes", "1", "--keep-unearnable"]
    try:
        main(argv)
    except SystemExit as end:
        assert "rejected" in str(end)
    rows = [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert all(reject["source"] for reject in rejects)
    return sorted(rows, key=lambda row: row["extra_info"]["index"]), rejects


def _check_image(row) -> None:
    data = row["images"][0]["bytes"]
    image = Image.open(io.BytesIO(data))
    image.load()
    size = row["extra_info"]["orig_w"], row["extra_info"]["orig_h"]
    assert (image.mode, image.size) == ("RGB", size) and image.format in ("JPEG", "PNG")
    assert image.convert("L").getextrema()[1] > 200  # something is bright: transparency did not become black
    assert row["prompt"][0]["content"].count("<image>") == len(row["images"]) == 1


def _case(name, image, number):
    """Return a case that is good except for its image."""
    return (image, f"dog {number}", [2, 1, 8, 2]) if name in GROUNDING else (image, f"How much is {number}?", "5")


@pytest.mark.parametrize("name", [*GROUNDING, *MATHS])
@pytest.mark.parametrize("defect", IMAGES)
def test_an_image_defect_alone(name, defect, tmp_path):
    image, reason = IMAGES[defect]
    rows, rejects = convert({**GROUNDING, **MATHS}[name], [_case(name, image, 0)], tmp_path)
    assert [reject["reason"] for reject in rejects] == [reason] * (reason is not None)
    assert len(rows) == (reason is None)
    for row in rows:
        _check_image(row)


@pytest.mark.parametrize("name", [*GROUNDING, *MATHS])
def test_all_image_defects_among_good_rows(name, tmp_path):
    images = [GOOD, *(image for image, _ in IMAGES.values()), GOOD]
    rows, rejects = convert(
        {**GROUNDING, **MATHS}[name], [_case(name, image, n) for n, image in enumerate(images)], tmp_path
    )
    expected = Counter(reason for _, reason in IMAGES.values() if reason)
    assert Counter(reject["reason"] for reject in rejects) == expected
    assert len(rows) == len(images) - sum(expected.values())
    assert rows[0]["images"][0]["bytes"] == rows[-1]["images"][0]["bytes"] == GOOD
    for row in rows:
        _check_image(row)


@pytest.mark.parametrize("name", GROUNDING)
@pytest.mark.parametrize("defects", [*([defect] for defect in EXPRESSIONS), list(EXPRESSIONS)], ids="+".join)
def test_defects_of_expressions_and_boxes(name, defects, tmp_path):
    chosen = [EXPRESSIONS[defect] for defect in defects]
    cases = [(GOOD, "good", BOX), *((GOOD, text, box) for text, box, _ in chosen), (GOOD, "also good", BOX)]
    rows, rejects = convert(GROUNDING[name], cases, tmp_path)
    expected = Counter(reason for *_, reason in chosen if reason)
    assert Counter(reject["reason"] for reject in rejects) == expected
    assert len(rows) == len(cases) - sum(expected.values())
    assert [rows[n]["extra_info"]["answer"] for n in (0, -1)] == ["good", "also good"]
    for row in rows:
        x1, y1, x2, y2 = json.loads(row["reward_model"]["ground_truth"])
        assert 0 <= x1 < x2 <= WIDTH and 0 <= y1 < y2 <= HEIGHT
        content = row["prompt"][0]["content"]
        assert content.count("<image>") == 1 and not any(token in content for token in TOKENS)
    golds = {row["extra_info"]["answer"]: json.loads(row["reward_model"]["ground_truth"]) for row in rows}
    assert golds["good"] == [10, 20, 40, 60]
    if defects == ["past the edge"]:
        assert golds["dog"] == [100, 50, WIDTH, HEIGHT]
    if defects == ["swapped corners"]:
        assert golds["dog"] == [10, 20, 40, 60]


@pytest.mark.parametrize("name", MATHS)
@pytest.mark.parametrize("defects", [*([defect] for defect in QUESTIONS), list(QUESTIONS)], ids="+".join)
def test_defects_of_questions_and_answers(name, defects, tmp_path):
    chosen = [QUESTIONS[defect] for defect in defects]
    if name == "mm-eureka qwen":  # its images are parts of the message, not tags in the text
        chosen = [case for case in chosen if case[2] != ("image_tags",)]
    cases = [(GOOD, "<image>One?", "1"), *((GOOD, asked, answer) for asked, answer, _ in chosen), (GOOD, "Two?", "2")]
    rows, rejects = convert(MATHS[name], cases, tmp_path)
    expected = Counter(result[0] for *_, result in chosen if isinstance(result, tuple))
    assert Counter(reject["reason"] for reject in rejects) == expected
    golds = ["1", *(result for *_, result in chosen if isinstance(result, str)), "2"]
    assert [row["reward_model"]["ground_truth"] for row in rows] == golds
    for row in rows:
        content = row["prompt"][0]["content"]
        assert content.count("<image>") == 1 and not any(token in content for token in TOKENS)
