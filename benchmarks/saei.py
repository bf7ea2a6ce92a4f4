"""SaEI against GRPO at equal budget: is the entropy of what is sampled higher, is the reward worse, what does it cost?

    python benchmarks/saei.py [--out DIR] [--seeds 1 2 3] [--steps 40]

Runs of the demo (real verl + FSDP2 + vLLM on the CPU, four to five minutes each on two cores), 8 prompts x 12
responses a step, one after the other. Runs that are finished are kept, so it can be stopped and started again. Prints
three Markdown tables and writes the curves of the entropy, curves.html. Runs of one seed see the same prompts and draw
the same random numbers for each response, so differences are taken within a seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, median

from runs import folder, run_demo, values

from verl_plugins.monitor.chart import line_chart
from verl_plugins.monitor.metrics import read_metrics, series
from verl_plugins.monitor.page import page

SECOND = ["--method=saei", "algorithm.saei.n1=6", "algorithm.saei.n2=6"]
VARIANTS = {
    "GRPO, n = 12": ["--method=grpo"],
    "SaEI 6 + 6, alpha = 2": SECOND,
    "SaEI 6 + 6, all tokens, 4 steps of 8": [
        *SECOND,
        "algorithm.saei.band=all",
        "algorithm.saei.alpha=8",
        "algorithm.saei.steps=4",
    ],
}
BUDGET = ["actor_rollout_ref.rollout.n=12", "actor_rollout_ref.rollout.calculate_log_probs=true"]
WINDOW = 10  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/saei"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for name, options in VARIANTS.items():
            run_demo(folder(arguments.out, name, seed), [*options, *BUDGET], seed, arguments.steps)
    tables = (entropy_table, reward_table, cost_table)
    print(*(table(arguments.out, arguments.seeds) for table in tables), sep="\n\n")
    write_curves(arguments.out, arguments.seeds)


def entropy_table(out: Path, seeds: list[int]) -> str:
    """Entropies in nats a token, and their differences to GRPO seed by seed.

    "sampled with" is that of the distributions which the responses were drawn from, over all steps: the policy's given
    the image each was sampled on. "policy" is the policy's given the clean image, over all steps and the last WINDOW.
    """
    each = "minus GRPO, seed by seed"
    lines = [
        f"| run | sampled with | {each} | policy | {each} | policy, last {WINDOW} steps | {each} |",
        "|---|---|---|---|---|---|---|",
    ]
    quantities: list[Callable[[str, int], list[float]]] = [
        lambda name, seed: sampled_with(out, name, seed),
        lambda name, seed: values(out, name, seed, "actor/entropy"),
        lambda name, seed: values(out, name, seed, "actor/entropy")[-WINDOW:],
    ]
    base: dict[int, list[float]] = {}
    for name in VARIANTS:
        cells = []
        for number, quantity in enumerate(quantities):
            found = [fmean(quantity(name, seed)) for seed in seeds]
            differences = [ours - grpo for ours, grpo in zip(found, base.setdefault(number, found), strict=True)]
            shown = ", ".join(f"{difference:+.4f}" for difference in differences) if any(differences) else "–"
            cells.append(f"{fmean(found):.4f} | {shown}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def reward_table(out: Path, seeds: list[int]) -> str:
    """Rewards of responses to clean images, and the IoU of sampled answers on the validation images."""
    lines = [
        f"| run | reward, first 5 | last {WINDOW} | seed by seed | validation IoU, before | after | seed by seed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in VARIANTS:
        rewards = [
            values(out, name, seed, "saei/reward_clean") or values(out, name, seed, "critic/score/mean")
            for seed in seeds
        ]
        ious = [_validation_iou(out, name, seed) for seed in seeds]
        cells = [
            f"{fmean(fmean(reward[:5]) for reward in rewards):.3f}",
            *_mean_and_each(fmean(r[-WINDOW:]) for r in rewards),
        ]
        cells += [f"{fmean(iou[0] for iou in ious):.3f}", *_mean_and_each(iou[-1] for iou in ious)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean_and_each(found: Iterable[float]) -> tuple[str, str]:
    found = list(found)
    return f"{fmean(found):.3f}", ", ".join(f"{value:.3f}" for value in found)


def _validation_iou(out: Path, name: str, seed: int) -> list[float]:
    rows = read_metrics(folder(out, name, seed) / "metrics.jsonl")
    key = next(key for row in rows for key in row if key.startswith("val-") and "/iou/mean@" in key)
    return [value for _, value in series(rows, key)]


def sampled_with(out: Path, name: str, seed: int) -> list[float]:
    """By step, the entropy that responses were sampled with; of those on adversarial images the mean of -log p, which
    the rollout engine reports, because the policy is evaluated on their clean images."""
    adversarial = values(out, name, seed, "saei/self_information_adversarial")
    if not adversarial:
        return values(out, name, seed, "actor/entropy")
    return [(a + b) / 2 for a, b in zip(values(out, name, seed, "saei/entropy_clean"), adversarial, strict=True)]


def cost_table(out: Path, seeds: list[int]) -> str:
    """Medians over the steps but the first; ratios between runs are as noisy as the machine.

    "log-prob forward" is the run's own old_log_prob stage, scaled to the n1 of n responses that the attack sees.
    """
    lines = [
        "| run | sampling, s | attack, s | to a log-prob forward of n1 | second sampling, s | step, s | to GRPO |",
        "|---|---|---|---|---|---|---|",
    ]
    grpo = median(_timing(out, "GRPO, n = 12", seeds, "step"))
    for name in VARIANTS:
        step, gen = (median(_timing(out, name, seeds, stage)) for stage in ("step", "gen"))
        cells = ["–", "–", "–"]
        attack = _timing(out, name, seeds, "saei_attack")
        if attack:
            forwards = _timing(out, name, seeds, "old_log_prob")
            ratio = median(2 * ours / forward for ours, forward in zip(attack, forwards, strict=True))
            again = median(_timing(out, name, seeds, "saei_gen"))
            cells = [f"{median(attack):.2f}", f"{ratio:.2f}", f"{again:.2f}"]
        lines.append(f"| {name} | {gen:.2f} | {' | '.join(cells)} | {step:.2f} | {step / grpo:.2f} |")
    return "\n".join(lines)


def write_curves(out: Path, seeds: list[int]) -> None:
    """The entropy that responses were sampled with, by step, mean over the seeds: also its difference to GRPO."""
    grpo = _mean_curve(out, "GRPO, n = 12", seeds)
    figures = []
    for number, name in enumerate(VARIANTS):
        curve = _mean_curve(out, name, seeds)
        charts = [(name, curve)]
        if curve != grpo:
            charts.append((f"{name}, minus GRPO", [ours - base for ours, base in zip(curve, grpo, strict=True)]))
        for part, (title, heights) in enumerate(charts):
            svg = line_chart(f"curve{number}x{part}", title, "nats per token", list(enumerate(heights, start=1)))
            figures.append(f'<figure class="chart"><h3>{title}</h3>{svg}</figure>')
    title = f"Entropy that responses were sampled with, mean over {len(seeds)} seeds"
    (out / "curves.html").write_text(page(title, ['<div class="charts">', *figures, "</div>"]), encoding="utf-8")


def _mean_curve(out: Path, name: str, seeds: list[int]) -> list[float]:
    return [fmean(step) for step in zip(*(sampled_with(out, name, seed) for seed in seeds), strict=True)]


def _timing(out: Path, name: str, seeds: list[int], stage: str) -> list[float]:
    return [value for seed in seeds for value in values(out, name, seed, f"timing_s/{stage}")[1:]]


if __name__ == "__main__":
    main()
