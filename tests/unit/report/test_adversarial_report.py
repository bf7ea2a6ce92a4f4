"""The report's section of adversarial images."""

import base64
import io
import json

import numpy as np
import torch
from PIL import Image

from verl_plugins.components.records import png
from verl_plugins.report.adversarial_images import adversarial_section, stretched_difference


def decoded(data):
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))))


def test_the_difference_is_stretched_around_grey():
    clean = torch.full((3, 2, 2), 100, dtype=torch.uint8)
    moved = clean.clone()
    moved[0, 0, 0], moved[1, 0, 1], moved[2, 1, 1] = 102, 98, 101
    shown, levels = stretched_difference(png(clean), png(moved))
    assert levels == 2
    pixels = decoded(shown)
    assert pixels[0, 0].tolist() == [254, 127, 127] and pixels[0, 1].tolist() == [127, 0, 127]
    assert pixels[1, 0].tolist() == [127, 127, 127] and 127 < pixels[1, 1][2] < 254
    assert stretched_difference(png(clean), png(clean))[1] == 0


def write(folder, step):
    clean = torch.zeros(3, 4, 4, dtype=torch.uint8)
    record = {
        "prompt": "What is <b> here?",
        "picture": png(clean),
        "adversarial_picture": png(clean + 3),
        "selective_entropy": [0.125, 0.25],
        "responses": ["<script>", "a circle"],
        "rewards": [1.0, 0.5],
    }
    (folder / "adversarial").mkdir(exist_ok=True)
    (folder / "adversarial" / f"{step}.jsonl").write_text(json.dumps(record) + "\n")


def test_the_section_shows_first_and_last_step_up_to_the_last_that_counts(tmp_path):
    for step in (1, 5, 20):
        write(tmp_path, step)
    html = adversarial_section(tmp_path, last_step=10, notes=[])
    assert "Step 1:" in html and "Step 5:" in html and "Step 20:" not in html
    assert "difference, at most 3 levels of 255" in html
    assert "H_sel 0.125 to 0.25." in html
    assert "&lt;script&gt;" in html and "<script>" not in html and "&lt;b&gt;" in html
    assert html.count("<img") == 2 * 3


def test_no_records_no_section(tmp_path):
    assert adversarial_section(tmp_path, last_step=3, notes=[]) == ""
