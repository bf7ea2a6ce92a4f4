"""docs/evidence.md: tables with 95% intervals and paired tests, and curves, computed from the metrics that are kept."""

from __future__ import annotations

import json
import lzma
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import matplotlib
import numpy as np
from evidence_variants import BASELINE, VARIANTS
from scipy import stats

matplotlib.use("svg")
import matplotlib.pyplot as plt

WINDOW = 10  # steps: "last" is the mean over them
THRESHOLDS = np.linspace(0.01, 1, 100)  # of IoU
COLOURS = ("#57606a", "#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700", "#0a7ea4", "#d1448f", "#6e4a1f")
HEADINGS = {
    "methods": "",
    "delta": "ECVGPO: the gate",
    "attack": "SaEI: strength of the attack",
    "band": "SaEI: which tokens the attack raises",
    "perturbation": "VEPO: the perturbed image",
}


@dataclass(frozen=True)
class Run:
    """A kept run: its facts, and its metrics by step."""

    facts: dict
    steps: dict[int, dict]

    def series(self, metric: str) -> list[tuple[int, float]]:
        return [(step, row[metric]) for step, row in self.steps.items() if metric in row]

    def accuracy(self) -> list[tuple[int, float]]:
        """Of the task's one data source, by step; nothing where it was not logged yet."""
        names = (name for row in self.steps.values() for name in row if re.fullmatch(r"reward/[^/]+/accuracy", name))
        return self.series(next(names, ""))

    def final(self) -> list[float]:
        """The quality of each validation answer after the last step."""
        return self.facts["validation"][str(self.facts["steps"])]

    def last(self, metric: str) -> float:
        return fmean(value for _, value in self.series(metric)[-WINDOW:])

    def seconds(self, *stages: str) -> list[float]:
        """What stages took together, by step, without the first, which waits for its workers to start."""
        rows = [row for step, row in self.steps.items() if step > 1]
        return [sum(row.get(f"timing_s/{stage}", 0.0) for stage in stages) for row in rows]

    @property
    def reward(self) -> str:
        """The metric of the mean reward, with SaEI of the responses to clean images."""
        return "saei/reward_clean" if self.series("saei/reward_clean") else "critic/score/mean"

    def sampled_with(self) -> float:
        """Entropy of the distributions that the responses were drawn from, nats a token; of those on adversarial
        images the mean of -log p, which the rollout engine reports: the policy is evaluated on their clean images."""
        if not self.series("saei/self_information_adversarial"):
            return self.last("actor/entropy")
        return (self.last("saei/entropy_clean") + self.last("saei/self_information_adversarial")) / 2


def read_runs(folder: Path) -> dict[tuple[str, str], dict[int, Run]]:
    """(task, variant) to its runs by seed, in the order of VARIANTS."""
    found: dict[tuple[str, str], dict[int, Run]] = {(v.task, v.name): {} for v in VARIANTS}
    for path in sorted(folder.glob("*.json")):
        facts = json.loads(path.read_text())
        lines = lzma.decompress(path.with_suffix(".metrics.jsonl.xz").read_bytes()).decode().splitlines()
        rows = map(json.loads, lines)
        found.setdefault((facts["task"], facts["name"]), {})[facts["seed"]] = Run(
            facts, {row["step"]: row["data"] for row in rows}
        )
    return found


def write_page(folder: Path, out: Path) -> None:
    """The page, and its curves beside the metrics."""
    runs = read_runs(folder)
    findings = folder / "findings.md"  # by hand
    parts = [_HEAD, *([findings.read_text().strip()] if findings.is_file() else [])]
    for task in dict.fromkeys(variant.task for variant in VARIANTS):
        for part in dict.fromkeys(variant.part for variant in VARIANTS if variant.task == task):
            names = [v.name for v in VARIANTS if v.task == task and v.part == part]
            shown = [BASELINE, *(name for name in names if name != BASELINE)]
            done = [name for name in shown if runs[task, name]]
            parts.append(f"## The {task} task" if part == "methods" else f"### {HEADINGS[part]}")
            if done:
                parts.append(table(task, done, runs))
            if missing := [name for name in shown if not runs[task, name]]:
                parts.append(f"Not run yet: {'; '.join(missing)}.")
            if part == "methods" and done:
                picture = folder / f"{task}.svg"
                curves(picture, {name: runs[task, name] for name in done})
                parts.append(cost_table([(name, list(runs[task, name].values())) for name in done]))
                parts.append(f"![Reward, entropy and quality of the {task} runs]({folder.name}/{picture.name})")
    parts.append(provenance(runs))
    out.write_text("\n\n".join(parts) + "\n")


def table(task: str, names: list[str], runs: dict[tuple[str, str], dict[int, Run]]) -> str:
    """Means over seeds with their 95% intervals (Student's t), and differences to GRPO, seed by seed."""
    measures: list[tuple[str, Callable[[Run], float]]] = [
        ("reward", lambda run: run.last(run.reward)),
        ("entropy, nats", lambda run: run.last("actor/entropy")),
        ("validation", lambda run: fmean(run.final())),
    ]
    if any("SaEI" in name for name in names):
        measures.append(("sampled with, nats", Run.sampled_with))
    heads = [f"{name} | minus {BASELINE} (p)" for name, _ in measures]
    lines = [f"| run | seeds | {' | '.join(heads)} |", "|---" * (2 + 2 * len(measures)) + "|"]
    baseline = runs[task, BASELINE]
    for name in names:
        seeds = runs[task, name]
        cells = []
        for _, measure in measures:
            cells.append(interval([measure(run) for run in seeds.values()]))
            pairs = [(measure(run), measure(baseline[seed])) for seed, run in seeds.items() if seed in baseline]
            cells.append("–" if name == BASELINE else paired(pairs))
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cost_table(variants: list[tuple[str, list[Run]]]) -> str:
    """Medians over the steps of all seeds. The shares are timed inside the same steps; the ratios to GRPO compare runs
    with each other, and are as noisy as the machine."""
    lines = [
        f"| run | step, s | to {BASELINE} | old log-probs, to {BASELINE} | advantages of the methods | "
        "attack and second sampling |",
        "|---|---|---|---|---|---|",
    ]
    base: tuple[float, float] | None = None
    for name, seeds in variants:
        whole = pooled(seeds, "step")
        step, log_probs = float(np.median(whole)), float(np.median(pooled(seeds, "old_log_prob")))
        base = base or (step, log_probs)
        own = (("entropy_methods",), ("saei_attack", "saei_gen"))
        shares = (np.median(pooled(seeds, *stages) / whole) for stages in own)
        cells = [f"{step:.2f}", f"{step / base[0]:.2f}", f"{log_probs / base[1]:.2f}"]
        cells += [f"{100 * share:.1f}%" if share else "–" for share in shares]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pooled(seeds: list[Run], *stages: str) -> np.ndarray:
    """Seconds that stages took together, a step of any seed a value."""
    return np.array([value for run in seeds for value in run.seconds(*stages)])


def interval(values: list[float]) -> str:
    """The mean, and the half of its 95% interval."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{fmean(values):.3f} ± {half:.3f}"


def paired(pairs: list[tuple[float, float]]) -> str:
    """The mean difference with its 95% interval and the p-value of the paired t-test."""
    differences = [first - second for first, second in pairs]
    if not differences:
        return "–"
    if len(differences) < 2 or len(set(differences)) == 1:
        return f"{fmean(differences):+.3f}"
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return f"{fmean(differences):+.3f} ± {half:.3f} ({stats.ttest_1samp(differences, 0).pvalue:.2f})"


def curves(out: Path, variants: dict[str, dict[int, Run]]) -> None:
    """Reward, entropy and, where answers are right or wrong, accuracy by step: means over seeds and over five steps.
    Where they have an IoU, its distribution over the validation images instead of the accuracy."""
    figure, panels = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    by_step: dict[str, Callable[[Run], list[tuple[int, float]]]] = {
        "reward": lambda run: run.series(run.reward),
        "policy entropy, nats a token": lambda run: run.series("actor/entropy"),
    }
    qualities = {name: [q for run in seeds.values() for q in run.final()] for name, seeds in variants.items()}
    graded = any(0 < quality < 1 for values in qualities.values() for quality in values)
    if not graded:
        by_step["accuracy"] = Run.accuracy
    for colour, (name, seeds) in zip(COLOURS, variants.items(), strict=False):
        style = {"color": colour, "label": name, "linewidth": 2.2 if name == BASELINE else 1.4}
        for axes, (title, curve) in zip(panels, by_step.items(), strict=False):
            each = [found for run in seeds.values() if (found := dict(curve(run)))]
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


def provenance(runs: dict[tuple[str, str], dict[int, Run]]) -> str:
    """Commits, dates, hardware and commands of the runs."""
    grouped = defaultdict(int)
    for seeds in runs.values():
        for run in seeds.values():
            grouped[run.facts["commit"], run.facts["date"], run.facts["hardware"], run.facts["steps"]] += 1
    lines = ["## Provenance", "| runs | steps | commit | date | hardware |\n|---|---|---|---|---|"]
    for (commit, date, hardware, steps), count in grouped.items():
        lines[-1] += f"\n| {count} | {steps} | {commit} | {date} | {hardware} |"
    options = "\n".join(f"| {v.name} | {v.task} | `{' '.join(v.options)}` |" for v in VARIANTS)
    return "\n\n".join([*lines, f"| run | task | options of `verl-plugins demo` |\n|---|---|---|\n{options}"])


_HEAD = f"""# Evidence

<!-- Written by `python benchmarks/evidence.py --tables` from the metrics and findings.md in docs/evidence. -->

Every method, its controls and GRPO under one roof: the same model, data, number of responses and stack (verl, FSDP2,
vLLM, on the CPU), on the two synthetic tasks of the demo. What a tiny model on synthetic pictures shows is the
direction in which a method pushes, and what it costs; not what it brings to a model of 7B parameters.

- `make evidence` trains what is missing and writes this page; `python benchmarks/evidence.py --tables` computes it anew
  from the metrics that are kept in `docs/evidence`, a compressed file of verl's metrics a run.
- **reward** (with SaEI, of the responses to clean images; the accuracy's curve has all), **entropy**: means over the
  last {WINDOW} steps. **validation**: mean IoU, or share of right words, of 64 images that are not trained on, after
  the last step. **sampled with**: the entropy of the distributions that the responses were drawn from, which SaEI's
  attack is to raise; on clean images alone it is the policy's.
- ± is half of the 95% interval over seeds (Student's t). **minus GRPO** is taken seed by seed, on the same prompts with
  the same random numbers; p is that of the paired t-test. Three seeds tell little: what is no larger than its ± is not
  told.
- The second table of a task is what a step costs: medians, the last two columns as shares of the same step. The ratios
  to {BASELINE} compare runs with each other and are as noisy as the machine was."""
