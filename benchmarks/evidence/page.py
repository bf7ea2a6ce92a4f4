"""The page docs/evidence.md, computed from the kept metrics: tables with 95% intervals and paired tests, and curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np
from scipy import stats

from evidence.curves import curves
from evidence.kept_runs import WINDOW, Pairing, Run, read_runs
from evidence.variants import ABLATIONS, BASELINE, PAIRS, VARIANTS, Ablation

Variants = dict[str, dict[Pairing, Run]]
"""Name of a variant -> its runs by start and seed."""
Measure = tuple[str, Callable[[Run], float]]
MEASURES: list[Measure] = [
    ("reward", lambda run: run.last(run.reward)),
    ("entropy, nats", lambda run: run.last("actor/entropy")),
    ("validation", lambda run: fmean(run.final())),
]
SAMPLED_WITH: Measure = ("sampled with, nats", Run.sampled_with)


def write_page(data: Path, page: Path) -> None:
    """Compute the page, and its curves in the folder beside it that bears its name.

    Args:
        data: folder of the kept runs.
        page: Markdown file to write; ``findings.md`` in its folder, written by hand, becomes a part of it.
    """
    runs = read_runs(data)
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    findings = folder / "findings.md"
    parts = [_HEAD, *([findings.read_text().strip()] if findings.is_file() else [])]
    for task in dict.fromkeys(variant.task for variant in VARIANTS):
        for part in dict.fromkeys(variant.part for variant in VARIANTS if variant.task == task):
            names = [v.name for v in VARIANTS if v.task == task and v.part == part]
            done = {name: runs[task, name] for name in names if runs[task, name]}
            if part == "methods":
                parts.append(f"## The {task} task")
                parts += methods(task, done, folder)
            else:
                parts.append(f"### {ABLATIONS[part].heading}")
                parts += ablation(ABLATIONS[part], runs[task, ABLATIONS[part].default], done)
            if missing := [name for name in names if name not in done]:
                parts.append(f"Not run yet: {'; '.join(missing)}.")
    parts.append(provenance(runs))
    page.write_text("\n\n".join(parts) + "\n")


def methods(task: str, done: Variants, folder: Path) -> list[str]:
    """Parts on a task's methods and controls: tables against GRPO and each other, costs and curves."""
    if BASELINE not in done:
        return []
    picture = folder / f"{task}.svg"
    curves(picture, done)
    return [
        table(done, BASELINE),
        pair_table(PAIRS[task], done),
        cost_table([(name, list(by_pairing.values())) for name, by_pairing in done.items()]),
        f"![Reward, entropy and quality of the {task} runs]({folder.name}/{picture.name})",
    ]


def ablation(part: Ablation, default: dict[Pairing, Run], done: Variants) -> list[str]:
    """Parts on other settings of a method: tables against its default, and of their direct effects."""
    paired_runs = {pairing: run for pairing, run in default.items() if any(pairing in runs for runs in done.values())}
    if not paired_runs:
        return []
    name = f"{part.default} ({part.setting})"
    return [
        table({name: paired_runs, **done}, name, part.default),
        effect_table({name: paired_runs, **done}, part.effects),
    ]


def table(variants: Variants, baseline: str, called: str = BASELINE) -> str:
    """Table of means over runs with 95% intervals (Student's t), and of paired differences to a baseline.

    Args:
        variants: the lines.
        baseline: name of the line that differences are taken to.
        called: name of the baseline in the heads of the columns.
    """
    measures = [*MEASURES, *([SAMPLED_WITH] if any("SaEI" in name for name in variants) else [])]
    heads = [f"{name} | minus {called} (p)" for name, _ in measures]
    lines = [f"| run | runs | pairs | {' | '.join(heads)} |", "|---" * (3 + 2 * len(measures)) + "|"]
    for name, runs in variants.items():
        cells = ["–" if name == baseline else str(len(runs.keys() & variants[baseline].keys()))]
        for _, measure in measures:
            cells.append(interval([measure(run) for run in runs.values()]))
            cells.append("–" if name == baseline else difference(runs, variants[baseline], measure))
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def effect_table(variants: Variants, metrics: tuple[str, ...]) -> str:
    """Table of means of metrics over all steps and runs."""
    lines = [f"| run | {' | '.join(f'`{metric}`' for metric in metrics)} |", "|---" * (1 + len(metrics)) + "|"]
    for name, runs in variants.items():
        cells = [f"{fmean(run.mean(metric) for run in runs.values()):.3g}" for metric in metrics]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pair_table(pairs: list[tuple[str, str]], variants: Variants) -> str:
    """Table of paired differences between methods and their controls."""
    measures = [*MEASURES, SAMPLED_WITH]
    lines = [f"| difference | pairs | {' | '.join(name for name, _ in measures)} |", "|---" * (2 + len(measures)) + "|"]
    for names in pairs:
        first, second = (variants.get(name, {}) for name in names)
        cells = [difference(first, second, measure) for _, measure in measures]
        lines.append(f"| {' minus '.join(names)} | {len(first.keys() & second.keys())} | {' | '.join(cells)} |")
    return "\n".join(lines)


def difference(first: dict[Pairing, Run], second: dict[Pairing, Run], measure: Callable[[Run], float]) -> str:
    """Paired difference of two variants, over the starts and seeds that both have."""
    return paired([(measure(run), measure(second[pairing])) for pairing, run in first.items() if pairing in second])


def cost_table(variants: list[tuple[str, list[Run]]]) -> str:
    """Table of costs: medians over the steps of all runs.

    Ratios to GRPO are of times divided by the time of the same step's update, which is the same work in every run, so
    that the machine's speed at the time cancels.
    """
    lines = [
        f"| run | step, s | to {BASELINE} | old log-probs, to {BASELINE} | advantages of the methods | "
        "attack and second sampling |",
        "|---|---|---|---|---|---|",
    ]
    base: tuple[float, float] | None = None
    for name, runs in variants:
        whole, update = pooled(runs, "step"), pooled(runs, "update_actor")
        step, log_probs = (float(np.median(took / update)) for took in (whole, pooled(runs, "old_log_prob")))
        base = base or (step, log_probs)
        own = (("entropy_methods",), ("saei_attack", "saei_gen"))
        shares = (np.median(pooled(runs, *stages) / whole) for stages in own)
        cells = [f"{np.median(whole):.2f}", f"{step / base[0]:.2f}", f"{log_probs / base[1]:.2f}"]
        cells += [f"{100 * share:.1f}%" if share else "–" for share in shares]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pooled(runs: list[Run], *stages: str) -> np.ndarray:
    """Seconds that stages took together, one value per step of every run."""
    return np.array([value for run in runs for value in run.seconds(*stages)])


def interval(values: list[float]) -> str:
    """The mean, and half of its 95% interval."""
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
    p = stats.ttest_1samp(differences, 0).pvalue
    return f"{fmean(differences):+.3f} ± {half:.3f} ({f'{p:.2f}' if p >= 0.01 else '<0.01'})"


def provenance(runs: dict[tuple[str, str], dict[Pairing, Run]]) -> str:
    """Part on starts, commits, dates, hardware and options of the runs."""
    columns = ("task", "start", "steps", "commit", "date", "hardware")
    all_runs = [run for by_pairing in runs.values() for run in by_pairing.values()]
    count = Counter(tuple(run.facts[name] for name in columns) for run in all_runs)
    lines = ["## Provenance", f"| runs | {' | '.join(columns)} |\n{'|---' * (1 + len(columns))}|"]
    for row, number in count.items():
        lines[-1] += f"\n| {number} | {' | '.join(map(str, row))} |"
    options = "\n".join(f"| {v.name} | {v.task} | `{' '.join(v.options)}` |" for v in VARIANTS)
    return "\n\n".join([*lines, f"| run | task | options of `verl-plugins demo` |\n|---|---|---|\n{options}"])


_HEAD = f"""# Evidence

<!-- Written by `PYTHONPATH=benchmarks python -m evidence --tables` from benchmarks/evidence/data and findings.md. -->

Every method, its controls and GRPO under equal conditions: the same data, number of responses and stack (verl, FSDP2,
vLLM, on the CPU), on the two synthetic tasks of the demo, each from the demo's warmed-up model. A tiny model on
synthetic images shows in which direction a method pushes and what it costs, not what it brings to a model of 7B
parameters.

- `make evidence` trains what is missing and writes this page; `PYTHONPATH=benchmarks python -m evidence --tables`
  recomputes it from the metrics kept in `benchmarks/evidence/data`, one compressed file of verl's metrics per run.
- **reward** and **entropy** are means over the last {WINDOW} steps. With SaEI the reward is that of the responses to
  clean images; the curve of the accuracy includes all. **validation** is the mean IoU, or the share of correct words,
  on 64 images that are not trained on, after the last step. **sampled with** is the entropy of the distributions that
  the responses were drawn from, which SaEI's attack is meant to raise; with clean images alone it is the policy's
  entropy.
- A **start** is the set of weights that the warm-up ended in, named by the first digits of its SHA-256. The same code
  and seed have ended in different weights on another machine. The starts of the first day were not recorded, and are
  called `unrecorded`. Runs with the same start and seed have the same reward in their first step; a test checks it.
- ± is half of the 95% interval over runs (Student's t). **minus GRPO** is the mean difference over pairs of runs with
  the same start and seed, that is the same weights, prompts and random numbers; p is from the paired t-test. The means
  of different lines cover different starts and seeds, so compare the differences, not the means. A curve is GRPO's mean
  plus the mean difference to it over pairs. Three pairs show little: a difference no larger than its ± is not
  established, and of so many differences one in twenty has p < 0.05 by chance.
- The second table of a task compares each method with its control in the same way. The third shows the cost of a step:
  medians, the last two columns as shares of the same step. The machine was faster on some days than on others, so the
  ratios to {BASELINE} are of times divided by the time of the same step's weight update, which is the same work in
  every run. Do not compare the seconds of two lines.
- Ablations change one setting of a method; their differences are to its default. The table below each shows the direct
  effect of the setting, in metrics that the method's page explains, as means over all steps."""
