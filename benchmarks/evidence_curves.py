"""The curves of docs/evidence.md: reward, entropy and quality by step, mean over runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import matplotlib
import numpy as np
from evidence_runs import Pairing, Run
from evidence_variants import BASELINE

matplotlib.use("svg")
import matplotlib.pyplot as plt

THRESHOLDS = np.linspace(0.01, 1, 100)  # of IoU
COLOURS = ("#57606a", "#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700", "#0a7ea4", "#d1448f", "#6e4a1f")


def curves(out: Path, variants: dict[str, dict[Pairing, Run]]) -> None:
    """Reward, entropy and, where answers are right or wrong, accuracy by step: means over runs and over five steps.
    Where they have an IoU, its distribution over the validation images instead of the accuracy."""
    figure, panels = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    by_step: dict[str, Callable[[Run], list[tuple[int, float]]]] = {
        "reward": lambda run: run.series(run.reward),
        "policy entropy, nats a token": lambda run: run.series("actor/entropy"),
    }
    qualities = {name: [q for run in runs.values() for q in run.final()] for name, runs in variants.items()}
    graded = any(0 < quality < 1 for values in qualities.values() for quality in values)
    if not graded:
        by_step["accuracy"] = Run.accuracy
    for colour, (name, runs) in zip(COLOURS, variants.items(), strict=False):
        style = {"color": colour, "label": name, "linewidth": 2.2 if name == BASELINE else 1.4}
        for axes, (title, curve) in zip(panels, by_step.items(), strict=False):
            each = [found for run in runs.values() if (found := dict(curve(run)))]
            steps = sorted(set.intersection(*map(set, each))) if each else []
            means = np.array([fmean(values[step] for values in each) for step in steps])
            axes.plot(steps, [means[max(0, i - 2) : i + 3].mean() for i in range(len(means))], **style)
            axes.set(title=title, xlabel="step")
        if graded:
            values = np.array(qualities[name])
            shares = [(values >= threshold).mean() for threshold in THRESHOLDS]
            panels[2].plot(THRESHOLDS, shares, **style)
            panels[2].set(title="validation: share of answers of at least this IoU", xlabel="IoU")
    for axes in panels:
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    plt.rcParams["svg.hashsalt"] = "evidence"  # the same file from the same metrics
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)
