"""Answers of a trained policy to held-out images that its own gradient attacks (docs/evaluation.md, "Under attack")."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from verl_plugins.report.metrics import read_json_lines

STRENGTH = 32  # 8-bit levels of one step along the gradient. SaEI trains with 2; with 8 and 16 little is lost
ROWS = 256
CHECKPOINT = ("actor_rollout_ref.actor.checkpoint.save_contents=[hf_model]",)
"""Override of a run that is evaluated so."""


def answers_under_attack(run_dir: Path, steps: int, data: Path, longest: int) -> list[float]:
    """Attack the image of each of the first ROWS rows and let the last checkpoint answer greedily.

    Args:
        run_dir: folder of the run.
        steps: of the run, which saved its weights after the last.
        data: parquet file.
        longest: tokens of a response.

    Returns:
        1.0 for a right answer and 0.0 for a wrong one, in the file's order.

    Raises:
        SystemExit: the evaluation failed; the message names its log.
    """
    checkpoint = run_dir / "checkpoints" / f"global_step_{steps}" / "actor"
    out = run_dir / "attacked"
    command = [sys.executable, "-m", "verl_plugins.evaluate", f"--model={checkpoint}", f"--data={data}"]
    command += [
        f"--out={out}",
        f"--max-response-length={longest}",
        "--attack=saei",
        f"--strength={STRENGTH}",
        f"--limit={ROWS}",
    ]
    log = run_dir / "attacked.log"
    with log.open("w") as stream:
        if subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode:
            raise SystemExit(f"{log}: the evaluation under attack failed")
    rows = sorted(read_json_lines(out / "results.jsonl")[0], key=lambda row: row["row"])
    return [float(row["accuracy"]) for row in rows]
