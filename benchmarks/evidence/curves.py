"""Curves of docs/evidence.md: reward, entropy and quality by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

from evidence.kept_runs import Pairing, Run
from evidence.variants import BASELINE

matplotlib.use("svg")
import matplotlib.pyplot as plt

THRESHOLDS = np.linspace(0.01, 1, 100)  # for the IoU
COLOURS = ("#57606a", "#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700", "#0a7ea4", "#d1448f", "#6e4a1f")
Curve = Callable[[Run], list[tuple[float, float]]]


def curves(out: Path, variants: dict[str, dict[Pairing, Run]]) -> None:
    """Plot reward, entropy and quality of a task's variants, as means over five steps.

    Quality is the accuracy by step where answers are right or wrong, and the distribution of the IoU over the
    validation images where answers have one.

    Args:
        out: SVG file to write.
        variants: name -> runs by start and seed; contains BASELINE.
    """
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.1), layout="constrained")
    by_step: dict[str, Curve] = {
        "reward": lambda run: run.series(run.reward),
        "policy entropy, nats a token": lambda run: run.series("actor/entropy"),
    }
    graded = any(0 < quality < 1 for runs in variants.values() for run in runs.values() for quality in run.final())
    if not graded:
        by_step["accuracy"] = Run.accuracy
    for colour, (name, runs) in zip(COLOURS, variants.items(), strict=False):
        style = {"color": colour, "label": name, "linewidth": 2.2 if name == BASELINE else 1.4}
        for axes, (title, curve) in zip(panels, by_step.items(), strict=False):
            steps, values = level_with(variants[BASELINE], runs, curve)
            axes.plot(steps, [values[max(0, i - 2) : i + 3].mean() for i in range(len(values))], **style)
            axes.set(title=title, xlabel="step")
        if graded:
            panels[2].plot(*level_with(variants[BASELINE], runs, shares), **style)
            panels[2].set(title="validation: share of answers of at least this IoU", xlabel="IoU")
    for axes in panels:
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(variants), fontsize=8)
    plt.rcParams["svg.hashsalt"] = "evidence"  # the same file from the same metrics
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


def level_with(baseline: dict[Pairing, Run], runs: dict[Pairing, Run], curve: Curve) -> tuple[list[float], np.ndarray]:
    """The baseline's mean curve plus the mean difference of ``runs`` to the baseline over their pairs.

    So lines do not differ because their runs have different starts and seeds.

    Returns:
        x and y values; empty if no run has a pair.
    """
    level, others = ({pairing: dict(curve(run)) for pairing, run in each.items()} for each in (baseline, runs))
    pairs = [pairing for pairing, values in others.items() if values and level.get(pairing)]
    if not pairs:
        return [], np.array([])
    known = [values for values in level.values() if values]
    xs = sorted(set.intersection(*map(set, [*known, *(others[pairing] for pairing in pairs)])))
    means = np.array([[values[x] for x in xs] for values in known]).mean(axis=0)
    return xs, means + np.array([[others[p][x] - level[p][x] for x in xs] for p in pairs]).mean(axis=0)


def shares(run: Run) -> list[tuple[float, float]]:
    """Share of the validation answers whose IoU reaches a threshold, by threshold."""
    return [(float(threshold), float((np.array(run.final()) >= threshold).mean())) for threshold in THRESHOLDS]
