"""The page docs/evidence.md, computed from the kept metrics: tables with 95% intervals and paired tests, and curves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from textwrap import fill

import numpy as np

from evidence.attacked import ROWS as ATTACKED_ROWS
from evidence.attacked import STRENGTH
from evidence.curves import curves, histograms
from evidence.kept_runs import WINDOW, Pairing, Run, read_runs
from evidence.statistics import LEVEL, detectable, holm, interval, paired
from evidence.variants import ABLATIONS, BASELINE, CLAIMS, PAIRS, STEPS, VARIANTS, Ablation
from evidence.vepo_selection import kept_tokens, selection_table
from verl_plugins.components.token_records import ROWS as TOKEN_ROWS
from verl_plugins.demo.assets import FACTS, STARTS
from verl_plugins.demo.making.quality import GATE, QUANTILES
from verl_plugins.demo.tasks import TASKS

Variants = dict[str, dict[Pairing, Run]]
"""Name of a variant -> its runs by start and seed."""
Measure = Callable[[Run], float]
MEASURES: dict[str, Measure] = {
    "validation": lambda run: fmean(run.final("val")),
    "out of domain": lambda run: fmean(run.final("ood")),
    "reward": lambda run: run.last(run.reward),
    "entropy, nats": lambda run: run.last("actor/entropy"),
    "over the run, nats": lambda run: run.mean("actor/entropy"),
}
SAMPLED_WITH: dict[str, Measure] = {"sampled with, nats": Run.sampled_with}
ATTACKED: dict[str, Measure] = {"under attack": Run.under_attack}
HISTOGRAMS = (BASELINE, "ECVGPO, r0 = 10", "ECVGPO, r0 = -0.5")


def write_page(data: Path, page: Path) -> None:
    """Compute the page, and its curves in the folder beside it that bears its name.

    Args:
        data: folder of the kept runs.
        page: Markdown file to write; ``questions.md`` and ``findings.md`` in its folder, written by hand, become parts
            of it.
    """
    runs = read_runs(data)
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)

    def by_hand(name: str) -> list[str]:
        path = folder / name
        return [path.read_text().strip()] if path.is_file() else []

    parts = [_HEAD, *by_hand("questions.md"), claims(runs), *by_hand("findings.md"), _METHOD, starts()]
    for task in dict.fromkeys(variant.task for variant in VARIANTS):
        for part in dict.fromkeys(variant.part for variant in VARIANTS if variant.task == task):
            names = [v.name for v in VARIANTS if v.task == task and v.part == part]
            done = {name: runs[task, name] for name in names if runs[task, name]}
            if part == "methods":
                parts.append(f"## The {task} task")
                parts += methods(task, done, folder)
                if tokens := kept_tokens(data, task):
                    parts.append(selection(tokens))
            else:
                parts.append(f"### {ABLATIONS[part].heading}")
                parts += ablation(ABLATIONS[part], runs[task, ABLATIONS[part].default], done)
            if missing := [name for name in names if name not in done]:
                parts.append(f"Not run yet: {'; '.join(missing)}.")
    parts.append(provenance(runs))
    page.write_text("\n\n".join(parts) + "\n")


def claims(runs: dict[tuple[str, str], dict[Pairing, Run]]) -> str:
    """The comparisons that were named beforehand, with p-values held against their number (Holm)."""
    rows, ps = [], []
    for claim in CLAIMS:
        first, second = (runs[claim.task, name] for name in claim.names)
        differences = differences_of(first, second, (MEASURES | ATTACKED)[claim.measure])
        result = paired(differences)
        told = detectable(differences)
        planned = min(v.seeds for v in VARIANTS if v.task == claim.task and v.name in claim.names)
        rows.append((claim, f"{len(differences)} of {planned}", result, told))
        ps.append(result.p)
    lines = [
        "## The named comparisons",
        "| claim | difference | measure | pairs | result | p | p, Holm | could be told |\n" + "|---" * 8 + "|",
    ]
    for (claim, pairs, result, told), adjusted in zip(rows, holm(ps), strict=True):
        cells = [claim.text, " minus ".join(claim.names), claim.measure, pairs, result.text]
        cells += [_p(result.p), _p(adjusted), f"{told:.3f}" if told is not None else "–"]
        lines[-1] += f"\n| {' | '.join(cells)} |"
    return "\n\n".join(lines)


def starts() -> str:
    """What the two starts answer, as `verl_plugins.demo.making.quality` measured it."""
    quality = {name: json.loads((STARTS / name / FACTS).read_text())["quality"] for name in TASKS}
    (sizes,) = {(facts["rows"], facts["samples"]) for facts in quality.values()}
    heads = ["greedy", "sampled", "entropy, nats", "tokens", "rarely right", "gate", "group's mean", "group's std"]
    lines = [f"| task | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for name, facts in quality.items():
        cells = [f"{facts[key]:.2f}" for key in ("greedy", "sampled", "entropy")]
        cells += [f"{facts['response_length']:.0f}", f"{facts['rarely_right']:.0%}", f"{facts['gated']:.0%}"]
        for key in ("group_mean_quantiles", "group_std_quantiles"):
            cells.append(", ".join(f"{value:.2f}" for value in facts[key]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = (
        f"On {sizes[0]} pictures with {sizes[1]} sampled answers each, a group: mean IoU, or share of right sums; "
        "**rarely right**: groups with at most one answer in eight above 0.5; **gate**: groups whose rewards have a "
        f"standard deviation above 0 and below {GATE}; then the quantiles of {', '.join(map(str, QUANTILES))} over the "
        "groups, of the mean quality and of the standard deviation of the reward."
    )
    return "\n\n".join(["## The starts", fill(text, 120), "\n".join(lines)])


def methods(task: str, done: Variants, folder: Path) -> list[str]:
    """Parts on a task's methods and controls: tables against GRPO and each other, costs and curves."""
    if BASELINE not in done:
        return []
    pictures = [("curves", "Reward, entropy and held-out quality", folder / f"{task}.svg")]
    curves(pictures[0][2], done)
    if set(HISTOGRAMS) <= done.keys():
        pictures.append(("IoU", "Distribution of the IoU on held-out images", folder / f"{task}_iou.svg"))
        histograms(pictures[1][2], {name: done[name] for name in HISTOGRAMS})
    return [
        table(done, BASELINE),
        pair_table(PAIRS[task], done),
        cost_table([(name, list(by_pairing.values())) for name, by_pairing in done.items()]),
        *(f"![{text} of the {task} runs]({folder.name}/{path.name})" for _, text, path in pictures),
    ]


def selection(steps: dict[int, list[dict]]) -> str:
    """Part on the words that VEPO selects."""
    text = (
        "Does it select the words that only the image tells? A **vision word** is a counted number, or the half that a "
        f"shape is in. Of {TOKEN_ROWS} responses of the first and of the last step of each run that kept them. Every "
        "score is evaluated on the signals that the runs with score D recorded, and selects the paper's fifth of each "
        "response, or as many tokens as it has vision words."
    )
    return "\n\n".join(["### VEPO: which words it selects", fill(text, 120), selection_table(steps)])


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
    measures = _measures(variants)
    heads = [f"{name} | minus {called} (p)" for name in measures]
    lines = [f"| run | runs | pairs | {' | '.join(heads)} |", "|---" * (3 + 2 * len(measures)) + "|"]
    for name, runs in variants.items():
        cells = ["–" if name == baseline else str(len(runs.keys() & variants[baseline].keys()))]
        for measure in measures.values():
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
    measures = _measures(variants)
    lines = [f"| difference | pairs | {' | '.join(measures)} |", "|---" * (2 + len(measures)) + "|"]
    for names in pairs:
        first, second = (variants.get(name, {}) for name in names)
        cells = [difference(first, second, measure) for measure in measures.values()]
        lines.append(f"| {' minus '.join(names)} | {len(first.keys() & second.keys())} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _measures(variants: Variants) -> dict[str, Measure]:
    """Measures that every run of a table has."""
    attacked = all(run.is_attacked for runs in variants.values() for run in runs.values())
    perturbed = any("SaEI" in name for name in variants)
    return MEASURES | (ATTACKED if attacked else {}) | (SAMPLED_WITH if perturbed else {})


def difference(first: dict[Pairing, Run], second: dict[Pairing, Run], measure: Measure) -> str:
    """Paired difference of two variants, over the starts and seeds that both have, as text."""
    result = paired(differences_of(first, second, measure))
    return result.text if result.p is None else f"{result.text} ({_p(result.p)})"


def differences_of(first: dict[Pairing, Run], second: dict[Pairing, Run], measure: Measure) -> list[float]:
    """Differences of two variants, one per start and seed that both have."""
    return [measure(run) - measure(second[pairing]) for pairing, run in first.items() if pairing in second]


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return f"{p:.2f}" if p >= 0.01 else "<0.01"


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

<!-- Written by `PYTHONPATH=benchmarks python -m evidence --tables` from benchmarks/evidence/data, and from questions.md
and findings.md in docs/evidence. -->

Every method, its controls and GRPO under equal conditions: the same start, data, number of responses and stack (verl,
FSDP2, vLLM, on the CPU), for {STEPS} steps of 8 prompts x 8 responses, on the two synthetic tasks of the demo. A model
of two million parameters on synthetic pictures shows in which direction a method pushes and what it costs, not what it
brings to a model of 7B parameters."""

_METHOD = f"""## How it was measured

- `make evidence` trains what is missing and writes this page; `PYTHONPATH=benchmarks python -m evidence --tables`
  recomputes its tables and curves from the metrics kept in `benchmarks/evidence/data`, one compressed file of verl's
  metrics per run.
- **validation** is the mean IoU, or the share of right sums, of greedy answers to 512 pictures that are not trained on,
  after the last step. **out of domain** is the same on 512 pictures with more shapes, sizes and shades that training
  does not have, and other wordings. **under attack** is the same on the first {ATTACKED_ROWS} pictures, each moved by
  {STRENGTH} levels of 255 along the gradient of the policy's own entropy ([evaluation](evaluation.md#under-attack)).
  **reward** and **entropy** are means over the last {WINDOW} steps, **over the run** is the entropy's mean over all
  steps. With SaEI the reward is that of the responses to clean images. **sampled with** is the entropy of the
  distributions that the responses were drawn from, which SaEI's attack is meant to raise; with clean images alone it is
  the policy's entropy.
- A **start** is the set of weights that a run begins with, named by the first digits of its SHA-256: those that the
  package brings. Runs with the same start and seed see the same prompts in the same order and draw the same random
  numbers. A test checks that all their steps have the same prompts, and that the first responses of those that sample
  alike have the same rewards.
- ± is half of the 95% interval over runs (Student's t). **minus GRPO** is the mean difference over pairs of runs with
  the same start and seed; p is from the paired t-test. A curve is GRPO's mean plus the mean difference to it over
  pairs.
- The p-values of the named comparisons are also given as adjusted by Holm's method for the number of all of them, run
  or not. **pairs** are those that were run, of those that are planned. **could be told** is the difference that so many
  pairs, with the spread that they showed, would tell from zero in four of five repetitions if it were the only
  comparison (p < {LEVEL}); a spread of three pairs is itself hardly known. All other tables are for orientation: of so
  many differences, one in twenty has p < {LEVEL} by chance.
- The second table of a task compares each method with its control in the same way. The third shows the cost of a step:
  medians, the last two columns as shares of the same step. The ratios to {BASELINE} are of times divided by the time of
  the same step's weight update, which is the same work in every run, because the machine is not equally fast every day;
  differences of a few hundredths are noise.
- Ablations change one setting of a method; their differences are to its default. The table below each shows the direct
  effect of the setting, in metrics that the method's page explains, as means over all steps."""
