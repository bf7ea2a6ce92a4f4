"""What each method costs beside GRPO with as many responses.

    PYTHONPATH=benchmarks:tests/support python -m speed.method_costs
        [--out DIR] [--task reasoning] [--methods ecvgpo vepo vppo saei noisyrollout] [--steps 15]

Trains the demo's task with GRPO and with each method in turn, one seed, and prints a Markdown table: seconds of a step
(median, without the first three), the ratio to GRPO, and the seconds of the parts that a method can add to. Of methods
with two halves, GRPO samples both halves at once on the clean image.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from demo_runs import metrics_of, refuse_used, train

WARM_UP = 3
PARTS = {
    "sampling": ("gen", "saei_gen", "saei_wake"),
    "attack": ("saei_attack",),
    "old log-probs": ("old_log_prob",),
    "advantages": ("adv", "entropy_methods"),
    "update": ("update_actor",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/method_costs"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"))
    parser.add_argument("--task", default="reasoning")
    parser.add_argument("--methods", nargs="+", default=["ecvgpo", "vepo", "vppo", "saei", "noisyrollout"])
    parser.add_argument("--steps", type=int, default=15)
    arguments = parser.parse_args()
    refuse_used(arguments.out)
    print(f"| method | seconds a step | / GRPO | {' | '.join(PARTS)} |")
    print("|---|---|---|" + "---|" * len(PARTS))
    of_grpo = None
    for method in ["grpo", *arguments.methods]:
        run_dir = arguments.out / method
        train(run_dir, arguments.cache, arguments.task, method, 1, arguments.steps, ["trainer.test_freq=-1"])
        rows = list(metrics_of(run_dir).values())[WARM_UP:]
        seconds = median(row["timing_s/step"] for row in rows)
        of_grpo = of_grpo or seconds
        parts = (
            median(sum(row.get(f"timing_s/{name}", 0.0) for name in names) for row in rows) for names in PARTS.values()
        )
        columns = [method, f"{seconds:.2f}", f"{seconds / of_grpo:.2f}", *(f"{part:.2f}" for part in parts)]
        print(f"| {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
