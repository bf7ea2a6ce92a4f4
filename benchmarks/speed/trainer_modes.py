"""Steps a second of verl's trainer modes with a method, at equal work, and whether the reward rises alike.

    PYTHONPATH=benchmarks:tests/support python -m speed.trainer_modes
        [--out DIR] [--method [ecvgpo,vepo]] [--steps 30] [--rounds 1]

Trains the demo's grounding task in each mode in turn, with as many responses a step, and prints a Markdown table:
seconds of a step (median, without the first three), the ratio to ``sync``, the mean age of the responses in policy
versions, and the reward of the first and the last third of the steps. On a CPU, rollout and training share the cores,
so a mode gains by what would wait, not by devices of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean, median

from demo_runs import metrics_of, refuse_used, train

MODES = ("sync", "colocate_async")
WARM_UP = 3
STALENESS = "training/off_policy/trajectory_staleness/mean"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/trainer_modes"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"))
    parser.add_argument("--method", default="[ecvgpo,vepo]")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    refuse_used(arguments.out)
    print("| round | mode | seconds a step | steps a second / sync | age of responses | reward, first and last third |")
    print("|---|---|---|---|---|---|")
    for number in range(arguments.rounds):
        seconds: dict[str, float] = {}
        for mode in MODES:
            run_dir = arguments.out / f"{mode}_{number}"
            overrides = [f"trainer.v1.trainer_mode={mode}", "trainer.test_freq=-1"]
            train(run_dir, arguments.cache, "grounding", arguments.method, number + 1, arguments.steps, overrides)
            rows = list(metrics_of(run_dir).values())
            seconds[mode] = median(row["timing_s/step"] for row in rows[WARM_UP:])
            rewards, third = [row["critic/score/mean"] for row in rows], len(rows) // 3
            columns = [
                f"{number + 1} | {mode} | {seconds[mode]:.2f} | {seconds['sync'] / seconds[mode]:.2f}",
                f"{fmean(row[STALENESS] for row in rows):.2f}",
                f"{fmean(rewards[:third]):.3f} to {fmean(rewards[-third:]):.3f}",
            ]
            print(f"| {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
