"""ECVGPO against GRPO in otherwise identical runs: does the sign of r0 steer the entropy, and what does a step cost?

    python benchmarks/ecvgpo.py [--out DIR] [--seeds 1 2 3] [--steps 30] [--delta 1.0]

Nine runs of the demo (real verl + FSDP2 + vLLM on the CPU, two to three minutes each on two cores). Runs that are
finished are kept, so it can be stopped and started again. Prints two Markdown tables. Runs of one seed see the same
prompts and draw the same random numbers for each response, so differences are taken within a seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean, median

from runs import folder, run_demo, values

VARIANTS = {
    "GRPO": ["--method=grpo"],
    "ECVGPO r0 = 10": ["--method=ecvgpo", "algorithm.ecvgpo.r0=10"],
    "ECVGPO r0 = -50": ["--method=ecvgpo", "algorithm.ecvgpo.r0=-50"],
}
WINDOW = 10  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/entropy"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--delta", type=float, default=1.0)
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for name, options in VARIANTS.items():
            gate = [f"algorithm.ecvgpo.delta={arguments.delta}"] * ("--method=ecvgpo" in options)
            run_demo(folder(arguments.out, name, seed), [*options, *gate], seed, arguments.steps)
    print(entropy_table(arguments.out, arguments.seeds), cost_table(arguments.out, arguments.seeds), sep="\n\n")


def entropy_table(out: Path, seeds: list[int]) -> str:
    """Means over the last WINDOW steps, a row a variant, and the difference to GRPO seed by seed."""
    head = "| run | policy entropy | minus GRPO, seed by seed | reward, first 5 | reward, last 5 | gated groups |"
    lines = [head, "|---|---|---|---|---|---|"]
    grpo = [last(out, "GRPO", seed, "actor/entropy") for seed in seeds]
    for name in VARIANTS:
        entropy = [last(out, name, seed, "actor/entropy") for seed in seeds]
        differences = ", ".join(f"{ours - base:+.4f}" for ours, base in zip(entropy, grpo, strict=True))
        rewards = [values(out, name, seed, "critic/score/mean") for seed in seeds]
        first, end = fmean(fmean(r[:5]) for r in rewards), fmean(fmean(r[-5:]) for r in rewards)
        gates = [value for seed in seeds for value in values(out, name, seed, "ecvgpo/gated_groups")]
        gated = f"{fmean(gates):.2f}" if gates else "–"
        shown = "–" if name == "GRPO" else differences
        lines.append(f"| {name} | {fmean(entropy):.4f} | {shown} | {first:.3f} | {end:.3f} | {gated} |")
    return "\n".join(lines)


def cost_table(out: Path, seeds: list[int]) -> str:
    """Median step of each variant against GRPO's, and the share that the method's own stage takes of its own step.

    The ratio compares different runs and is as noisy as the machine; the share is timed inside the same steps.
    """
    lines = ["| run | median step, s | to GRPO | the method's stage, ms | share of its step |", "|---|---|---|---|---|"]
    for name in VARIANTS:
        step, stage = ([], [])
        for seed in seeds:
            step += values(out, name, seed, "timing_s/step")[1:]  # the first waits for workers to start
            stage += values(out, name, seed, "timing_s/entropy_methods")[1:]
        grpo = median(v for seed in seeds for v in values(out, "GRPO", seed, "timing_s/step")[1:])
        own = "– | –"
        if stage:
            shares = [a / b for a, b in zip(stage, step, strict=True)]
            own = f"{1000 * median(stage):.1f} | {100 * median(shares):.2f}%"
        lines.append(f"| {name} | {median(step):.3f} | {median(step) / grpo:.3f} | {own} |")
    return "\n".join(lines)


def last(out: Path, name: str, seed: int, metric: str) -> float:
    return fmean(values(out, name, seed, metric)[-WINDOW:])


if __name__ == "__main__":
    main()
