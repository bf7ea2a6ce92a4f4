"""Tokens that VEPO selects on the synthetic reasoning task: are the words among them that only the image tells?

    PYTHONPATH=benchmarks python -m evidence.vepo_selection [--out DIR] [--seeds 1 2] [--steps 30]

Trains VEPO (real verl + FSDP2 + vLLM on the CPU, about ten minutes per run on two cores), and one step with each kind
of perturbation. Finished runs are kept, so the command can be stopped and started again. Prints two Markdown tables of
the tokens that the runs recorded. A "vision word" is the first word of a statement that only the image tells: the
number that is counted, or the half that a shape is in.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
from demo_runs import train

from data_prep.synthetic.scenes import KINDS
from data_prep.synthetic.shapes_reasoning import NUMBERS
from verl_plugins.methods.token_selection import top_tokens
from verl_plugins.methods.vepo.maths import VEPOConfig, token_scores
from verl_plugins.methods.vepo.scores import SCORES
from verl_plugins.report.metrics import read_json_lines

PERTURBATIONS = ("gaussian", "diffusion", "patch", "zero")  # one step each
HALVES = ("top", "bottom", "left", "right")
FRACTION = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/vepo_selection"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"), help="model and data of the demo")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()

    def recorded(name: str, seed: int, steps: int, overrides: tuple[str, ...] = ()) -> Path:
        """Train a run of the demo's task unless it is finished; return the folder of its recorded tokens."""
        tokens = arguments.out.resolve() / name / "tokens"
        if not (tokens / f"{steps}.jsonl").is_file():
            train(tokens.parent, arguments.cache.resolve(), "reasoning", "vepo", seed, steps, overrides)
        return tokens

    folders = [recorded(f"seed{seed}", seed, arguments.steps) for seed in arguments.seeds]
    noises = {
        kind: recorded(kind, arguments.seeds[0], 1, (f"algorithm.vepo.perturbation={kind}",)) for kind in PERTURBATIONS
    }
    print(selection_table(folders, [1, arguments.steps]), perturbation_table(noises), sep="\n")


def selection_table(folders: list[Path], steps: list[int]) -> str:
    """Share of the vision words that each score would select, on the recorded signals."""
    lines = []
    for step in steps:
        records = [record for folder in folders for record in read_json_lines(folder / f"{step}.jsonl")[0]]
        vision_words, others = told_apart(records)
        lines += [
            f"Step {step}: {len(vision_words)} vision words in {len(records)} responses: entropy "
            f"{mean('entropy', vision_words):.2f}, JSD {mean('jsd', vision_words):.3f}; other tokens: entropy "
            f"{mean('entropy', others):.2f}, JSD {mean('jsd', others):.3f}.",
            "",
            "| score | vision words among the selected 20% |",
            "|---|---|",
        ]
        for name in sorted(set(SCORES) - {"H"}):
            kept = fmean(float(is_kept(record, place, name)) for record, place in vision_words)
            lines.append(f"| {name} | {kept:.2f} |")
        lines.append("")
    return "\n".join(lines)


def perturbation_table(folders: dict[str, Path]) -> str:
    """JSD of vision words and of other tokens, and how often a vision word is selected, by kind of perturbation."""
    lines = ["| perturbation | JSD of vision words | of other tokens | vision word selected by D | by entropy alone |"]
    lines.append("|---|---|---|---|---|")
    for kind, folder in folders.items():
        records = read_json_lines(folder / "1.jsonl")[0]
        vision_words, others = told_apart(records)
        kept = [
            fmean(float(is_kept(record, place, score)) for record, place in vision_words) for score in ("D", "entropy")
        ]
        jsd = f"{mean('jsd', vision_words):.4f} | {mean('jsd', others):.4f}"
        lines.append(f"| {kind} | {jsd} | {kept[0]:.2f} | {kept[1]:.2f} |")
    return "\n".join(lines)


def told_apart(records: list[dict]) -> tuple[list[tuple[dict, int]], list[tuple[dict, int]]]:
    """Return the vision words of the responses, and their other tokens, as (record, index of the token)."""
    vision_words, others = [], []
    for record in records:
        places = places_of_vision_words([token.strip() for token in record["tokens"]])
        for place in range(len(record["tokens"])):
            (vision_words if place in places else others).append((record, place))
    return vision_words, others


def places_of_vision_words(words: list[str]) -> set[int]:
    """Return the indices of the words of a thought that only the image tells: "two" in "is two", "number two" and "the
    squares two", and "top" in "at the top"."""
    places = set()
    for place, (before, word) in enumerate(pairwise(words), start=1):
        counted = word in NUMBERS and (before in ("is", "number") or before.removesuffix("s") in KINDS)
        placed = before == "the" and word in HALVES and words[place - 2] in ("at", "on")
        if counted or placed:
            places.add(place)
    return places


def is_kept(record: dict, place: int, score: str) -> bool:
    jsd, entropy, perturbed = (torch.tensor([record[name]]) for name in ("jsd", "entropy", "perturbed_entropy"))
    mask = torch.ones_like(jsd, dtype=torch.bool)
    scores = token_scores(jsd, entropy, perturbed, mask, VEPOConfig(score=score))
    return bool(top_tokens(scores, mask, FRACTION)[0, place])


def mean(signal: str, tokens: list[tuple[dict, int]]) -> float:
    return fmean(record[signal][place] for record, place in tokens)


if __name__ == "__main__":
    main()
