"""What SaEI's second sampling saw: clean image, adversarial image and their difference, with a response to each.

Reads `adversarial/{step}.jsonl` of a run (below `trainer.record_dir`, written by `verl_plugins.methods.saei.driver`).
"""

import base64
import io
from html import escape
from pathlib import Path

from PIL import Image, ImageChops

from verl_plugins.report.metrics import first_and_last_step, read_json_lines
from verl_plugins.report.run_summary import number

CARDS = 4  # of the first and of the last recorded step

LEGEND = (
    '<p class="legend">The difference is stretched to the full range: grey did not move, bright rose, dark fell. '
    "H_sel is the entropy that the attack raises, in nats a token, of the responses to the clean image, given the one "
    "and the other image.</p>"
)


def adversarial_section(run_dir: Path, last_step: int) -> str:
    """The section's HTML; empty if the run recorded no images. Steps after `last_step` were thrown away by a resume."""
    shown = first_and_last_step(run_dir / "adversarial", last_step)
    if not shown:
        return ""
    parts = ["<h2>Adversarial images</h2>", LEGEND]
    for step, path in shown:
        records = read_json_lines(path)[0][:CARDS]
        parts.append(f'<p class="quiet">Step {step}: the first {len(records)} prompts.</p>')
        parts.append('<div class="cards">' + "".join(map(_card, records)) + "</div>")
    return "\n".join(parts)


def _card(record: dict) -> str:
    clean, adversarial = record["picture"], record["adversarial_picture"]
    difference, levels = stretched_difference(clean, adversarial)
    pictures = "".join(
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
        for data, caption in (
            (clean, "clean image"),
            (difference, f"difference, at most {levels} levels of 255"),
            (adversarial, "adversarial image"),
        )
    )
    before, after = map(number, record["selective_entropy"])
    responses = "".join(
        f'<p class="rank">Response to the {name} image, reward {number(reward)}:</p><pre>{escape(text)}</pre>'
        for name, text, reward in zip(("clean", "adversarial"), record["responses"], record["rewards"], strict=True)
    )
    return (
        f'<article class="card"><p class="rank">{escape(record["prompt"].strip())}</p>'
        f'<div class="triple pictures">{pictures}</div><p class="rank">H_sel {before} to {after}.</p>'
        f"{responses}</article>"
    )


def stretched_difference(clean: str, adversarial: str) -> tuple[str, int]:
    """Of two base64 PNGs, what was added to the first, around mid-grey, as a base64 PNG; and its largest change."""
    first, second = (Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in (clean, adversarial))
    rose, fell = ImageChops.subtract(second, first), ImageChops.subtract(first, second)
    levels = max(max(change.tobytes()) for change in (rose, fell))
    scale = 127 / max(levels, 1)
    grey = Image.new("RGB", first.size, (127, 127, 127))
    shown = ImageChops.subtract(ImageChops.add(grey, rose.point(lambda v: v * scale)), fell.point(lambda v: v * scale))
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode(), levels
