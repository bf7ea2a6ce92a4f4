"""What ECVGPO adds to a training step: the time of its stage against the step it is part of, in one real run.

    python benchmarks/ecvgpo_step.py [--out DIR] [--steps 30]

Runs the demo with GRPO and with ECVGPO on the same trainer and prints the median step of each (noisy: two runs), and
the share of ECVGPO's own stage in its own step (exact: both are timed in the same steps). The first step is left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median

from verl_plugins.monitor.metrics import read_metrics, series


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/step"))
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    seconds = {}
    for method in ("grpo", "ecvgpo"):
        run_dir = arguments.out / method
        command = [sys.executable, "-m", "verl_plugins.cli", "demo", f"--out={run_dir}", f"--method={method}"]
        subprocess.run([*command, f"--steps={arguments.steps}"], check=True, stdout=subprocess.DEVNULL)
        rows = read_metrics(run_dir / "metrics.jsonl")
        for key in ("timing_s/step", "timing_s/entropy_methods"):
            seconds[method, key] = [value for step, value in series(rows, key) if step > 1]
    stage, step = seconds["ecvgpo", "timing_s/entropy_methods"], seconds["ecvgpo", "timing_s/step"]
    grpo = median(seconds["grpo", "timing_s/step"])
    print(f"median step: GRPO {grpo:.3f} s, ECVGPO {median(step):.3f} s, ratio {median(step) / grpo:.3f}")
    share = median(a / b for a, b in zip(stage, step, strict=True))
    print(f"ECVGPO's stage: {1000 * median(stage):.1f} ms, {100 * share:.2f}% of its own step (median over steps)")


if __name__ == "__main__":
    main()
