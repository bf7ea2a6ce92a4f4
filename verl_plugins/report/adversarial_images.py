"""The section on SaEI's second sampling: clean image, adversarial image and their difference, with the responses.

Reads `adversarial/{step}.jsonl` of a run (below `trainer.record_dir`, written by `verl_plugins.methods.saei.driver`).
"""

import base64
import io
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from data_prep.html import render
from verl_plugins.report.embedded_image import data_uri
from verl_plugins.report.metrics import read_json_lines, steps_over_time
from verl_plugins.report.run_summary import number
from verl_plugins.report.side_files import read_side_file

STEPS, CARDS = 4, 4  # recorded steps, the first and the last included, and cards of each


def adversarial_section(run_dir: Path, last_step: int, notes: list[str]) -> str:
    """Render the section as HTML; empty if the run recorded no images.

    Steps after `last_step` are left out: a resume threw them away. Damaged files are left out, and named in `notes`.
    """
    files = steps_over_time(run_dir / "adversarial", last_step, STEPS)
    read = (read_side_file(path, partial(_step, step, path), None, notes) for step, path in files)
    steps = [step for step in read if step]
    return render("verl_plugins/report/templates/adversarial_images.html", steps=steps) if steps else ""


def _step(step: int, path: Path) -> dict[str, Any]:
    return {"number": step, "cards": [_card(each) for each in read_json_lines(path)[0][:CARDS]]}


def _card(record: dict) -> dict[str, Any]:
    clean, adversarial = record["picture"], record["adversarial_picture"]
    difference, levels = stretched_difference(clean, adversarial)
    before, after = map(number, record["selective_entropy"])
    return {
        "prompt": record["prompt"].strip(),
        "images": [
            (caption, data_uri(base64.b64decode(image)))
            for caption, image in (
                ("clean image", clean),
                (f"difference, at most {levels} levels of 255", difference),
                ("adversarial image", adversarial),
            )
        ],
        "entropy_before": before,
        "entropy_after": after,
        "responses": [
            {"image": name, "text": text, "reward": number(reward)}
            for name, text, reward in zip(("clean", "adversarial"), record["responses"], record["rewards"], strict=True)
        ],
    }


def stretched_difference(clean: str, adversarial: str) -> tuple[str, int]:
    """Draw the difference of two images around mid-grey, stretched to the full range.

    Args:
        clean, adversarial: PNGs in base64.

    Returns:
        The drawing as a PNG in base64, and the largest change of any pixel in 8-bit levels.
    """
    first, second = (Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in (clean, adversarial))
    rose, fell = ImageChops.subtract(second, first), ImageChops.subtract(first, second)
    levels = max(max(change.tobytes()) for change in (rose, fell))
    scale = 127 / max(levels, 1)
    grey = Image.new("RGB", first.size, (127, 127, 127))
    drawing = ImageChops.add(grey, rose.point(lambda v: v * scale))
    drawing = ImageChops.subtract(drawing, fell.point(lambda v: v * scale))
    buffer = io.BytesIO()
    drawing.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode(), levels
