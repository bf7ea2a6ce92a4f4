"""Tokens that VEPO selects on the reasoning task: are the words among them that only the image tells?

    PYTHONPATH=benchmarks python -m evidence.vepo_selection [--out DIR] [--seed 1]

The runs of VEPO keep the tokens of their first and last step, of which the evidence's page has a table. This command
trains one step from the start with each kind of perturbation (real verl, FSDP2 and vLLM on the CPU, two minutes each on
two cores), and prints a Markdown table of their tokens. Finished runs are kept, so it can be stopped and started again.

A "vision word" is the first word of a statement that only the image tells: a number that is counted, or the half that a
shape is in.
"""

from __future__ import annotations

import argparse
import json
import lzma
from collections.abc import Iterable, Mapping, Sequence
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
FRACTIONS = (0.2, 0.07)  # the paper's; one that selects about as many tokens as there are vision words
UNCERTAIN = 0.01  # nats
KEPT = ("tokens", "kept", "entropy", "jsd", "perturbed_entropy")
"""Fields of a record that are kept: one value for each token."""
SUFFIX = ".tokens.jsonl.xz"
Word = tuple[dict, int]
"""A record, and the index of one of its tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="evidence.vepo_selection", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/vepo_selection"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"), help="model and data of the demo")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folders = {}
    for kind in PERTURBATIONS:
        tokens = arguments.out.resolve() / kind / "tokens"
        if not (tokens / "1.jsonl").is_file():
            overrides = (f"algorithm.vepo.perturbation={kind}",)
            train(tokens.parent, arguments.cache.resolve(), "reasoning", "vepo", arguments.seed, 1, overrides)
        folders[kind] = tokens
    print(perturbation_table(folders))


def keep_tokens(tokens: Path, steps: Sequence[int], kept: Path) -> None:
    """Compress what a run recorded of the tokens of some steps.

    Args:
        tokens: folder of the records, a file for each step.
        steps: the steps.
        kept: file to write, a line for each response.
    """
    lines = [
        json.dumps({"step": step} | {name: record[name] for name in KEPT}) + "\n"
        for step in steps
        for record in read_json_lines(tokens / f"{step}.jsonl")[0]
    ]
    kept.write_bytes(lzma.compress("".join(lines).encode()))


def kept_tokens(folder: Path, task: str) -> dict[int, list[dict]]:
    """Read the kept tokens of all runs of a task in a folder: step -> the responses of that step."""
    steps: dict[int, list[dict]] = {}
    for path in sorted(folder.glob(f"{task}_*{SUFFIX}")):
        for record in map(json.loads, lzma.decompress(path.read_bytes()).decode().splitlines()):
            steps.setdefault(record["step"], []).append(record)
    return dict(sorted(steps.items()))


def selection_table(steps: Mapping[int, Sequence[dict]]) -> str:
    """Two tables by step: what vision words and other tokens carry, and the share of the vision words that each score
    would select, on the recorded signals."""
    told = {step: told_apart(records) for step, records in steps.items()}
    uncertain = [
        fmean(sum(entropy > UNCERTAIN for entropy in record["entropy"]) for record in records)
        for records in steps.values()
    ]
    lines = [f"| | {' | '.join(f'step {step}' for step in steps)} |", "|---" * (1 + len(steps)) + "|"]

    def line(name: str, values: Iterable[str]) -> None:
        lines.append(f"| {name} | {' | '.join(values)} |")

    line("responses", (str(len(records)) for records in steps.values()))
    line("tokens of a response", (f"{fmean(len(r['tokens']) for r in records):.1f}" for records in steps.values()))
    line(f"of them with more than {UNCERTAIN} nats", (f"{number:.1f}" for number in uncertain))
    line("vision words", (f"{len(words) / len(steps[step]):.1f}" for step, (words, _) in told.items()))
    for signal, name in (("entropy", "entropy"), ("jsd", "JSD")):
        line(f"{name} of a vision word, nats", (f"{mean(signal, words):.3f}" for words, _ in told.values()))
        line(f"{name} of another token, nats", (f"{mean(signal, others):.3f}" for _, others in told.values()))
    columns = [(step, fraction) for step in steps for fraction in FRACTIONS]
    heads = " | ".join(f"step {step}, {fraction:.0%}" for step, fraction in columns)
    lines += ["", f"| vision words selected by | {heads} |", "|---" * (1 + len(columns)) + "|"]
    for score in sorted(set(SCORES) - {"H"}):
        name = {"entropy": "entropy alone", "jsd": "JSD alone", "gap": "entropy gap alone"}.get(score, score)
        line(name, (f"{share_kept(steps[step], score, fraction):.2f}" for step, fraction in columns))
    return "\n".join(lines)


def perturbation_table(folders: Mapping[str, Path]) -> str:
    """JSD of vision words and of other tokens, and how often a vision word is selected, by kind of perturbation."""
    fraction = FRACTIONS[-1]
    scores = ("D", "entropy")
    lines = [
        "| perturbation | JSD of a vision word, nats | of another token | vision words selected by D, "
        f"{fraction:.0%} | by entropy alone |",
        "|---|---|---|---|---|",
    ]
    for kind, folder in folders.items():
        records = read_json_lines(folder / "1.jsonl")[0]
        vision_words, others = told_apart(records)
        kept = " | ".join(f"{share_kept(records, score, fraction):.2f}" for score in scores)
        lines.append(f"| {kind} | {mean('jsd', vision_words):.4f} | {mean('jsd', others):.4f} | {kept} |")
    return "\n".join(lines)


def told_apart(records: Sequence[dict]) -> tuple[list[Word], list[Word]]:
    """Return the vision words of the responses, and their other tokens."""
    vision_words: list[Word] = []
    others: list[Word] = []
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


def share_kept(records: Sequence[dict], score: str, fraction: float) -> float:
    """Share of the vision words that a score selects, if it selects a fraction of each response."""
    kept = []
    for record in records:
        selected = selection(record, score, fraction)
        kept += [selected[place] for place in places_of_vision_words([token.strip() for token in record["tokens"]])]
    return fmean(kept)


def selection(record: dict, score: str, fraction: float) -> list[bool]:
    """Tell of each token of a response whether a score selects it, on the recorded signals."""
    jsd, entropy, perturbed = (torch.tensor([record[name]]) for name in ("jsd", "entropy", "perturbed_entropy"))
    mask = torch.ones_like(jsd, dtype=torch.bool)
    scores = token_scores(jsd, entropy, perturbed, mask, VEPOConfig(score=score))
    return top_tokens(scores, mask, fraction)[0].tolist()


def mean(signal: str, tokens: Sequence[Word]) -> float:
    return fmean(record[signal][place] for record, place in tokens)


if __name__ == "__main__":
    main()
