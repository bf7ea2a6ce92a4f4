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
"""By name: their runs by start and seed."""
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
    """Every method and control against GRPO and against each other, what they cost, and their curves."""
    if BASELINE not in done:
        return []
    picture = folder / f"{task}.svg"
    curves(picture, done)
    return [
        table(done, BASELINE),
        pair_table(PAIRS[task], done),
        cost_table([(name, list(found.values())) for name, found in done.items()]),
        f"![Reward, entropy and quality of the {task} runs]({folder.name}/{picture.name})",
    ]


def ablation(part: Ablation, default: dict[Pairing, Run], done: Variants) -> list[str]:
    """Other settings of a method against its default, and what they do."""
    held = {pairing: run for pairing, run in default.items() if any(pairing in found for found in done.values())}
    if not held:
        return []
    name = f"{part.default} ({part.setting})"
    return [table({name: held, **done}, name, part.default), effect_table({name: held, **done}, part.effects)]


def table(variants: Variants, baseline: str, called: str = BASELINE) -> str:
    """Means over runs with their 95% intervals (Student's t), and differences to one of them, pair by pair."""
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
    """Means of metrics over all steps and runs."""
    lines = [f"| run | {' | '.join(f'`{metric}`' for metric in metrics)} |", "|---" * (1 + len(metrics)) + "|"]
    for name, runs in variants.items():
        cells = [f"{fmean(run.mean(metric) for run in runs.values()):.3g}" for metric in metrics]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pair_table(pairs: list[tuple[str, str]], variants: Variants) -> str:
    """A method against its control, pair by pair."""
    measures = [*MEASURES, SAMPLED_WITH]
    lines = [f"| difference | pairs | {' | '.join(name for name, _ in measures)} |", "|---" * (2 + len(measures)) + "|"]
    for names in pairs:
        first, second = (variants.get(name, {}) for name in names)
        cells = [difference(first, second, measure) for _, measure in measures]
        lines.append(f"| {' minus '.join(names)} | {len(first.keys() & second.keys())} | {' | '.join(cells)} |")
    return "\n".join(lines)


def difference(first: dict[Pairing, Run], second: dict[Pairing, Run], measure: Callable[[Run], float]) -> str:
    """Of two variants, over the starts and seeds that both have."""
    return paired([(measure(run), measure(second[pairing])) for pairing, run in first.items() if pairing in second])


def cost_table(variants: list[tuple[str, list[Run]]]) -> str:
    """Medians over the steps of all runs. The ratios to GRPO are of times in units of the same step's update, which is
    the same work in every run: how fast the machine was at the time cancels."""
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
    """Seconds that stages took together, a step of any run a value."""
    return np.array([value for run in runs for value in run.seconds(*stages)])


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
    p = stats.ttest_1samp(differences, 0).pvalue
    return f"{fmean(differences):+.3f} ± {half:.3f} ({f'{p:.2f}' if p >= 0.01 else '<0.01'})"


def provenance(runs: dict[tuple[str, str], dict[Pairing, Run]]) -> str:
    """Starts, commits, dates, hardware and commands of the runs."""
    columns = ("task", "start", "steps", "commit", "date", "hardware")
    count = Counter(tuple(run.facts[name] for name in columns) for found in runs.values() for run in found.values())
    lines = ["## Provenance", f"| runs | {' | '.join(columns)} |\n{'|---' * (1 + len(columns))}|"]
    for row, number in count.items():
        lines[-1] += f"\n| {number} | {' | '.join(map(str, row))} |"
    options = "\n".join(f"| {v.name} | {v.task} | `{' '.join(v.options)}` |" for v in VARIANTS)
    return "\n\n".join([*lines, f"| run | task | options of `verl-plugins demo` |\n|---|---|---|\n{options}"])


_HEAD = f"""# Evidence

<!-- Written by `PYTHONPATH=benchmarks python -m evidence --tables` from benchmarks/evidence/data and findings.md. -->

Every method, its controls and GRPO under one roof: the same data, number of responses and stack (verl, FSDP2, vLLM, on
the CPU), on the two synthetic tasks of the demo, from the demo's warmed-up model of each. What a tiny model on
synthetic pictures shows is the direction in which a method pushes, and what it costs; not what it brings to a model of
7B parameters.

- `make evidence` trains what is missing and writes this page; `PYTHONPATH=benchmarks python -m evidence --tables`
  computes it anew from the metrics that are kept in `benchmarks/evidence/data`, a compressed file of verl's metrics
  a run.
- **reward** (with SaEI, of the responses to clean images; the accuracy's curve has all), **entropy**: means over the
  last {WINDOW} steps. **validation**: mean IoU, or share of right words, of 64 images that are not trained on, after
  the last step. **sampled with**: the entropy of the distributions that the responses were drawn from, which SaEI's
  attack is to raise; on clean images alone it is the policy's.
- The warm-up of the model, of the same code and seed, has ended in other weights on another machine: a **start**, here
  the first digits of its SHA-256 (those of the first day were not written down, and are called so). Runs from one start
  with one seed have the same reward in their first step, which a test holds.
- ± is half of the 95% interval over runs (Student's t). **minus GRPO** is taken pair by pair, of runs from the same
  start with the same seed: the same weights, prompts and random numbers; p is that of the paired t-test. Means are over
  all runs of a line, which are not from the same starts and seeds in every line: it is the differences that compare. A
  curve is GRPO's mean plus the mean difference to it over pairs. Three pairs tell little: what is no larger than its ±
  is not told, and of so many differences one in twenty has p < 0.05 by chance.
- The second table of a task holds each method against its control, in the same way; the third is what a step costs:
  medians, the last two columns as shares of the same step. Runs were made on days when the machine was faster or
  slower; the ratios to {BASELINE} are therefore of times in units of the same step's update of the weights, which is
  the same work in all. Seconds of two lines do not compare.
- Ablations depart from a method's default, which their differences are taken to. Below each, what the setting itself
  does, in metrics that the method's page explains: means over all steps."""
