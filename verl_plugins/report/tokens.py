"""The sections on the tokens that VEPO and VPPO selected: responses coloured by score, beside the two images.

Read what `verl_plugins.components.token_records` wrote below `trainer.record_dir`.
"""

import base64
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from data_prep.html import render
from verl_plugins.report.embedded_image import data_uri
from verl_plugins.report.metrics import read_json_lines, steps_over_time
from verl_plugins.report.run_summary import number
from verl_plugins.report.side_files import read_side_file

STEPS, CARDS = 4, 4  # recorded steps, the first and the last included, and cards of each
FOLDERS = {"VEPO": "tokens", "VPPO": "vppo_tokens"}  # of the records, by method


def tokens_sections(run_dir: Path, last_step: int, notes: list[str]) -> Markup:
    """Render a section for each method that selected tokens, as HTML; empty if the run recorded none.

    Steps after `last_step` are left out: a resume threw them away. Damaged files are left out, and named in `notes`.
    """
    sections = [_section(method, run_dir / folder, last_step, notes) for method, folder in FOLDERS.items()]
    return Markup("").join(sections)  # a plain string would be escaped by the page


def _section(method: str, folder: Path, last_step: int, notes: list[str]) -> str:
    files = steps_over_time(folder, last_step, STEPS)
    read = (read_side_file(path, partial(_step, step, path), None, notes) for step, path in files)
    steps = [step for step in read if step]
    if not steps:
        return ""
    return render("verl_plugins/report/templates/tokens.html", method=method, steps=steps)


def _step(step: int, path: Path) -> dict[str, Any]:
    records = read_json_lines(path)[0]
    cards = [_card(record) for record in _one_of_each_group(records)[:CARDS]]
    return {"number": step, "recorded": len(records), "cards": cards}


def _one_of_each_group(records: list[dict]) -> list[dict]:
    """Return the first record of each prompt, those with an image before the others."""
    first: dict[int, dict] = {}
    for record in sorted(records, key=lambda record: "picture" not in record):
        first.setdefault(record["group"], record)
    return sorted(first.values(), key=lambda record: "picture" not in record)


def _card(record: dict) -> dict[str, Any]:
    images = [("clean image", record.get("picture")), ("perturbed image", record.get("perturbed_picture"))]
    return {
        "prompt": record["prompt"].strip(),
        "images": [(caption, data_uri(base64.b64decode(image))) for caption, image in images if image],
        "tokens": [_token(record, position) for position in range(len(record["tokens"]))],
        "reward": number(record["reward"]),
        "kept": sum(weight > 0 for weight in record["kept"]),
        "weight": number(max(record["kept"], default=0.0)),
    }


def _token(record: dict, position: int) -> dict[str, Any]:
    score, has_image = record["score"][position], "jsd" in record
    facts = [f"score {score:.3f}"]
    if has_image:
        facts.append(f"JSD {record['jsd'][position]:.4f}")
    if "kl" in record:
        facts.append(f"KL {record['kl'][position]:.4f}")
    if "entropy" in record:
        facts.append(f"H {record['entropy'][position]:.3f}")
    if has_image:
        facts.append(f"ΔH {record['perturbed_entropy'][position] - record['entropy'][position]:+.3f}")
    return {
        "text": record["tokens"][position].replace("\n", "↵\n"),
        "is_kept": record["kept"][position] > 0,
        "shade": round(100 * min(max(score, 0.0), 1.0)),
        "facts": ", ".join(facts),
    }
