"""How strong may SaEI's attack be? The reasoning start's answers to held-out pictures, by strength.

    PYTHONPATH=benchmarks python -m evidence.attack_strength [--out DIR] [--rows 256]

Runs `verl_plugins.evaluate --attack` once for each line of the table, two minutes each on two cores, and prints the
table. Finished evaluations are kept, so the command can be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from evidence.__main__ import ROWS, start_of
from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.evaluate.attack_settings import attack_label
from verl_plugins.report.metrics import read_json_lines

TASK = TASKS["reasoning"]
ONE_STEP = (1, 2, 4, 8, 16, 32)  # 8-bit levels; SaEI's alpha is 2
SEVERAL_STEPS = ((2, 4), (2, 16), (8, 4))  # (alpha, steps)
RANDOM = (8, 32)
ATTACKS = [
    [],
    *(["--attack=saei", f"--strength={alpha}"] for alpha in ONE_STEP),
    *(["--attack=saei", f"--strength={alpha}", f"--attack-steps={steps}"] for alpha, steps in SEVERAL_STEPS),
    *(["--attack=random", f"--strength={strength}"] for strength in RANDOM),
]
HEADS = ("attack", "right", "without a boxed answer", "right answers lost", "gained", "change of a pixel, levels")
ENTROPY = ("attacked tokens' entropy before, nats", "after")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/attack_strength"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"), help="data of the demo")
    parser.add_argument("--rows", type=int, default=256)
    arguments = parser.parse_args()
    model, data = ensure_demo_assets(arguments.cache.resolve(), TASK, ROWS)
    folders = [
        answered(arguments.out, model, data / "val.parquet", [*attack, f"--limit={arguments.rows}"])
        for attack in ATTACKS
    ]
    print(table(folders))


def answered(out: Path, model: Path, data: Path, options: Sequence[str]) -> Path:
    """Evaluate the model greedily, unless that is done; return the folder of the evaluation."""
    folder = out.resolve() / start_of(model) / "_".join(option.lstrip("-") for option in options)
    if not (folder / "summary.json").is_file():
        command = [sys.executable, "-m", "verl_plugins.evaluate", f"--model={model}", f"--data={data}"]
        command += [f"--out={folder}", f"--max-response-length={TASK.max_response_length}", *options]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return folder


def table(folders: Sequence[Path]) -> str:
    """The table in Markdown; the first folder is of the clean pictures."""
    lines = [f"| {' | '.join((*HEADS, *ENTROPY))} |", "|---" * (len(HEADS) + len(ENTROPY)) + "|"]
    clean = right(folders[0])
    for folder in folders:
        answers, attack = right(folder), json.loads((folder / "summary.json").read_text()).get("attack")
        lost = sum(clean[row] and not answers[row] for row in clean)
        gained = sum(answers[row] and not clean[row] for row in clean)
        cells = [attack_label(attack), f"{sum(answers.values()) / len(answers):.3f}", f"{unboxed(folder):.1%}"]
        cells += [str(lost), str(gained)] if attack else ["–", "–"]
        cells.append(f"{attack['pixel_change']:.2f}" if attack else "–")
        entropies = [(attack or {}).get(key) for key in ("entropy_before", "entropy_after")]
        cells += ["–" if entropy is None else f"{entropy:.5f}" for entropy in entropies]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def right(folder: Path) -> dict[int, bool]:
    """Whether the answer to each row is right, by the row's number."""
    return {line["row"]: line["accuracy"] == 1.0 for line in read_json_lines(folder / "results.jsonl")[0]}


def unboxed(folder: Path) -> float:
    """Share of the responses without a boxed answer, right or wrong."""
    lines = read_json_lines(folder / "results.jsonl")[0]
    return sum("\\boxed{" not in line["response"] for line in lines) / len(lines)


if __name__ == "__main__":
    main()
