"""Run the stages and write the page: ``python -m gpu [--device cuda] [--stages kernel hooks]``, from ``make gpu``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gpu import ROOT
from gpu.page import facts, write_page
from gpu.stages import STAGES, Outcome, run_stages


def main(arguments: list[str] | None = None) -> int:
    """Print how each stage ended and where the page is; return 1 if something failed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--stages", nargs="*", choices=[stage.name for stage in STAGES])
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "gpu")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    stages = [stage for stage in STAGES if not chosen.stages or stage.name in chosen.stages]
    run_facts = facts(chosen.device, [stage.name for stage in stages])

    def report(outcomes: list[Outcome]) -> None:
        # after each stage, because this process may be killed
        write_page(chosen.out, chosen.device, run_facts, outcomes)
        last = outcomes[-1]
        state = last.failure or last.not_run or ("FAIL" if last.is_failed else "ok")
        print(f"{last.stage.name}: {state} ({last.seconds:.0f} s)", flush=True)

    outcomes = run_stages(stages, chosen.device, chosen.out, on_outcome=report)
    print((chosen.out / "page.md").read_text())
    print(f"written: {chosen.out / 'page.md'}")
    return int(any(outcome.is_failed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
