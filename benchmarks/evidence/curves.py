"""Curves of docs/evidence.md: reward, entropy and held-out quality by step, and histograms of the IoU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

from evidence.kept_runs import Pairing, Run
from evidence.variants import BASELINE

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = (
    "#57606a",
    "#0969da",
    "#cf222e",
    "#1a7f37",
    "#8250df",
    "#bf8700",
    "#0a7ea4",
    "#d1448f",
    "#6e4a1f",
    "#9aa700",
    "#f0743e",
    "#2b3a67",
)
BINS = np.linspace(0, 1, 21)  # of the IoU
Curve = Callable[[Run], list[tuple[int, float]]]
PANELS: dict[str, Curve] = {
    "reward": lambda run: run.series(run.reward),
    "policy entropy, nats a token": lambda run: run.series("actor/entropy"),
    "validation, greedy": lambda run: run.validation("val"),
    "out of domain, greedy": lambda run: run.validation("ood"),
}


def curves(out: Path, variants: dict[str, dict[Pairing, Run]]) -> None:
    """Plot reward, entropy and held-out quality of a task's variants by step; those of each step as means over nine.

    Args:
        out: SVG file to write.
        variants: name -> runs by start and seed; contains BASELINE.
    """
    figure, panels = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    for colour, (name, runs) in zip(COLOURS, variants.items(), strict=False):
        style = {"color": colour, "label": name, "linewidth": 2.2 if name == BASELINE else 1.4}
        for axes, (title, curve) in zip(panels.flat, PANELS.items(), strict=True):
            steps, values = level_with(variants[BASELINE], runs, curve)
            half = 4 if len(steps) > 20 else 0
            axes.plot(steps, [values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))], **style)
            axes.set(title=title, xlabel="step")
    for axes in panels.flat:
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    _save(figure, out)


def histograms(out: Path, variants: dict[str, dict[Pairing, Run]]) -> None:
    """Plot the distribution of the IoU of greedy answers to held-out images after the last step, all runs together."""
    figure, panels = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained", sharey=True)
    for axes, (split, title) in zip(panels, (("val", "validation"), ("ood", "out of domain")), strict=True):
        for colour, (name, runs) in zip(COLOURS, variants.items(), strict=False):
            values = np.concatenate([run.final(split) for run in runs.values()])
            shares = np.histogram(values, BINS)[0] / len(values)
            axes.stairs(shares, BINS, color=colour, label=name, linewidth=2.2 if name == BASELINE else 1.4)
        axes.set(title=f"{title}: share of answers", xlabel="IoU")
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    _save(figure, out)


def _save(figure, out: Path) -> None:
    plt.rcParams["svg.hashsalt"] = "evidence"  # the same file from the same metrics
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


def level_with(baseline: dict[Pairing, Run], runs: dict[Pairing, Run], curve: Curve) -> tuple[list[int], np.ndarray]:
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
