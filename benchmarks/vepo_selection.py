"""VEPO against entropy-only selection and GRPO on the synthetic reasoning task: what is selected, and what is learnt.

    python benchmarks/vepo.py [--out DIR] [--seeds 1 2] [--steps 40]

Runs of the demo (real verl + FSDP2 + vLLM on the CPU, two to four minutes each on two cores), one after the other.
Runs that are finished are kept, so it can be stopped and started again. Prints four Markdown tables. Runs of one seed
see the same prompts with the same random numbers. A "vision word" is the word of an answer that only the picture
tells: the first colour, kind or number of the kind that was asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean, median

import torch
from runs import folder, run_demo, values

from data_prep.shapes import COLOURS, KINDS
from data_prep.shapes_reasoning import NUMBERS
from verl_plugins.methods.scores import SCORES, top_tokens
from verl_plugins.methods.vepo import VEPOConfig, token_scores
from verl_plugins.monitor.metrics import read_json_lines, read_metrics, series

VARIANTS = {
    "GRPO": ["--method=grpo", "--task=reasoning"],
    "entropy-only top 20%": ["--method=vepo", "algorithm.vepo.score=entropy"],
    "VEPO, score D": ["--method=vepo"],
}
KINDS_OF_NOISE = ("gaussian", "diffusion", "patch", "zero")  # one step each, for what is selected
ASKED = {"What colour": tuple(COLOURS), "What is the": KINDS, "How many": NUMBERS}
FRACTION = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/vepo"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for name, options in VARIANTS.items():
            run_demo(folder(arguments.out, name, seed), options, seed, arguments.steps)
    for kind in KINDS_OF_NOISE:
        perturbation = ["--method=vepo", f"algorithm.vepo.perturbation={kind}"]
        run_demo(arguments.out / kind, perturbation, arguments.seeds[0], steps=1)
    folders = [folder(arguments.out, "VEPO, score D", seed) / "tokens" for seed in arguments.seeds]
    print(selection_table(folders, [1, arguments.steps]))
    print(perturbation_table(arguments.out), end="\n\n")
    print(learning_table(arguments.out, arguments.seeds), cost_table(arguments.out, arguments.seeds), sep="\n\n")


def selection_table(folders: list[Path], steps: list[int]) -> str:
    """How often each score, on the signals that were recorded, would keep the vision word."""
    lines = []
    for step in steps:
        found = [
            (record, place)
            for folder in folders
            for record in read_json_lines(folder / f"{step}.jsonl")[0]
            if (place := vision_word(record)) is not None
        ]
        others = [(record, i) for record, place in found for i in range(len(record["tokens"])) if i != place]
        lines += [
            f"Step {step}: {len(found)} responses with a vision word. Vision words: entropy "
            f"{mean('entropy', found):.2f}, JSD {mean('jsd', found):.3f}; other tokens: entropy "
            f"{mean('entropy', others):.2f}, JSD {mean('jsd', others):.3f}.",
            "",
            "| score | responses whose vision word is among the selected 20% |",
            "|---|---|",
        ]
        for name in sorted(set(SCORES) - {"H"}):
            kept = fmean(float(is_kept(record, place, name)) for record, place in found)
            lines.append(f"| {name} | {kept:.2f} |")
        lines.append("")
    return "\n".join(lines)


def perturbation_table(out: Path) -> str:
    lines = ["| perturbation | JSD of vision words | of other tokens | vision word selected by D | by entropy alone |"]
    lines.append("|---|---|---|---|---|")
    for kind in KINDS_OF_NOISE:
        records = read_json_lines(out / kind / "tokens" / "1.jsonl")[0]
        found = [(record, place) for record in records if (place := vision_word(record)) is not None]
        others = [(record, i) for record, place in found for i in range(len(record["tokens"])) if i != place]
        kept = [fmean(float(is_kept(record, place, score)) for record, place in found) for score in ("D", "entropy")]
        jsd = f"{mean('jsd', found):.4f} | {mean('jsd', others):.4f}"
        lines.append(f"| {kind} | {jsd} | {kept[0]:.2f} | {kept[1]:.2f} |")
    return "\n".join(lines)


def vision_word(record: dict) -> int | None:
    """The place of the first word of the kind that the prompt asks for, or None."""
    words = next(words for ask, words in ASKED.items() if ask in record["prompt"])
    return next((i for i, token in enumerate(record["tokens"]) if token.strip() in words), None)


def is_kept(record: dict, place: int, score: str) -> bool:
    jsd, entropy, perturbed = (torch.tensor([record[name]]) for name in ("jsd", "entropy", "perturbed_entropy"))
    mask = torch.ones_like(jsd, dtype=torch.bool)
    scores = token_scores(jsd, entropy, perturbed, mask, VEPOConfig(score=score))
    return bool(top_tokens(scores, mask, FRACTION)[0, place])


def mean(signal: str, tokens: list[tuple[dict, int]]) -> float:
    return fmean(record[signal][place] for record, place in tokens)


def learning_table(out: Path, seeds: list[int]) -> str:
    lines = [
        "| run | reward, first 5 | reward, last 5 | seed by seed | validation accuracy, before | after |",
        "|---|---|---|---|---|---|",
    ]
    for name in VARIANTS:
        rewards = [values(out, name, seed, "critic/score/mean") for seed in seeds]
        last = [fmean(reward[-5:]) for reward in rewards]
        accuracy = [accuracies(out, name, seed) for seed in seeds]
        before, after = (fmean(a[i] for a in accuracy) for i in (0, -1))
        each = ", ".join(f"{x:.3f}" for x in last)
        first = fmean(fmean(reward[:5]) for reward in rewards)
        lines.append(f"| {name} | {first:.3f} | {fmean(last):.3f} | {each} | {before:.3f} | {after:.3f} |")
    return "\n".join(lines)


def accuracies(out: Path, name: str, seed: int) -> list[float]:
    rows = read_metrics(folder(out, name, seed) / "metrics.jsonl")
    key = next(key for row in rows for key in row if key.startswith("val-") and "/accuracy/mean@" in key)
    return [value for _, value in series(rows, key)]


def cost_table(out: Path, seeds: list[int]) -> str:
    """Medians over the steps but the first; the ratios compare different runs and are as noisy as the machine."""
    lines = ["| run | old log-probs, s | to GRPO | step, s | to GRPO |", "|---|---|---|---|---|"]
    base = {}
    for name in VARIANTS:
        cells = []
        for metric in ("timing_s/old_log_prob", "timing_s/step"):
            value = median(v for seed in seeds for v in values(out, name, seed, metric)[1:])
            base.setdefault(metric, value)
            cells.append(f"{value:.3f} | {value / base[metric]:.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
