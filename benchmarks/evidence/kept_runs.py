"""Runs whose metrics are kept in ``data``, and the quantities that the page takes from them."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from evidence.variants import VARIANTS

WINDOW = 10  # steps
Pairing = tuple[str, int]
"""Start and seed. Runs that share both have the same initial weights, prompts and random numbers, and are compared."""


@dataclass(frozen=True)
class Run:
    """A kept run.

    Args:
        facts: description of the run and its validation scores.
        steps: metrics by step.
    """

    facts: dict
    steps: dict[int, dict]

    def series(self, metric: str) -> list[tuple[int, float]]:
        """Steps that logged a metric, with its values."""
        return [(step, row[metric]) for step, row in self.steps.items() if metric in row]

    def validation(self, split: str) -> list[tuple[int, float]]:
        """Mean quality of the greedy answers to "val" or "ood", by step."""
        return [(int(step), fmean(scores[split])) for step, scores in sorted(self._validations().items(), key=_number)]

    def final(self, split: str) -> list[float]:
        """Quality of each greedy answer to "val" or "ood" after the last step."""
        return self._validations()[str(self.facts["steps"])][split]

    @property
    def is_attacked(self) -> bool:
        """Whether its held-out images were attacked."""
        return "attacked" in self.facts

    def under_attack(self) -> float:
        """Share of right answers to attacked held-out images."""
        return fmean(self.facts["attacked"])

    def _validations(self) -> dict[str, dict[str, list[float]]]:
        return self.facts["validation"]

    def last(self, metric: str) -> float:
        """Mean of a metric over the last WINDOW steps."""
        return fmean(value for _, value in self.series(metric)[-WINDOW:])

    def mean(self, metric: str) -> float:
        """Mean of a metric over all steps."""
        return fmean(value for _, value in self.series(metric))

    def seconds(self, *stages: str) -> list[float]:
        """Seconds that stages took together in each step but the first, which waits for the workers to start."""
        rows = [row for step, row in self.steps.items() if step > 1]
        return [sum(row.get(f"timing_s/{stage}", 0.0) for stage in stages) for row in rows]

    @property
    def reward(self) -> str:
        """Name of the metric of the mean reward; with SaEI, that of the responses to clean images."""
        return "saei/reward_clean" if self.series("saei/reward_clean") else "critic/score/mean"

    def sampled_with(self) -> float:
        """Entropy of the distributions that the responses were drawn from, in nats per token.

        For responses to adversarial images it is the mean of -log p that the rollout engine reports, because the policy
        is evaluated on their clean images.
        """
        if not self.series("saei/self_information_adversarial"):
            return self.last("actor/entropy")
        return (self.last("saei/entropy_clean") + self.last("saei/self_information_adversarial")) / 2


def _number(item: tuple[str, dict]) -> int:
    return int(item[0])


def read_runs(folder: Path) -> dict[tuple[str, str], dict[Pairing, Run]]:
    """Read the kept runs: (task, variant) -> its runs by start and seed, in the order of VARIANTS."""
    runs_by_variant: dict[tuple[str, str], dict[Pairing, Run]] = {(v.task, v.name): {} for v in VARIANTS}
    for path in sorted(folder.glob("*.json")):
        facts = json.loads(path.read_text())
        lines = lzma.decompress(path.with_suffix(".metrics.jsonl.xz").read_bytes()).decode().splitlines()
        rows = map(json.loads, lines)
        runs = runs_by_variant.setdefault((facts["task"], facts["name"]), {})
        runs[facts["start"], facts["seed"]] = Run(facts, {row["step"]: row["data"] for row in rows})
    return runs_by_variant
