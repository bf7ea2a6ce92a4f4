"""Watch a long run: does the memory of any process grow, and is anything left behind?

    PYTHONPATH=benchmarks python -m robustness.soak [--out DIR] [--method [ecvgpo,vepo]] [--steps 200]

Trains the demo's task and reads the memory of each of the run's processes every few seconds (USS: what would be freed
if it ended). Prints a Markdown table of the processes, by title, with the medians over the steps from a tenth to a
fifth of the run, and over its last tenth. Then prints what the run left in /dev/shm and in the folder of temporary
files, and which sockets still listen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import psutil
from demo_runs import attempt, metrics_of, refuse_used

from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command
from verl_plugins.demo.watchdog import marked_processes

PERIOD_S = 5.0
SHORT = 30  # characters of a process's title


class MemoryLog:
    """Records the memory of a run's processes and the step they are at. Called while the run trains."""

    def __init__(self, run_dir: Path):
        self.run_dir = run_dir
        self.due = 0.0
        self.seen: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)

    def __call__(self) -> None:
        if time.monotonic() < self.due:
            return
        self.due = time.monotonic() + PERIOD_S
        step = max(metrics_of(self.run_dir), default=0)
        for process in marked_processes((self.run_dir / "processes.txt").read_text()):
            try:
                title = Path(process.cmdline()[0]).name.split(".")[0][:SHORT]  # Ray's titles: class, then method
                self.seen[process.pid, title].append((step, process.memory_full_info().uss / 2**20))
            except (psutil.Error, IndexError):
                continue

    def table(self, steps: int) -> str:
        """Table of MiB by process, early and late in the run, for processes that lived in both."""
        by_pid: dict[int, list[tuple[int, float]]] = defaultdict(list)
        titles = {}
        for (pid, title), values in self.seen.items():
            by_pid[pid] += values
            titles[pid] = title  # the last one: Ray renames a process when it gets its actor
        lines = ["| process | early, MiB | late, MiB | grew by |", "|---|---|---|---|"]
        for pid, values in sorted(by_pid.items()):
            early = [mib for step, mib in values if steps / 10 <= step <= steps / 5]
            late = [mib for step, mib in values if step >= steps * 0.9]
            if early and late:
                a, b = median(early), median(late)
                lines.append(f"| {titles[pid]} | {a:.0f} | {b:.0f} | {b - a:+.0f} ({100 * (b / a - 1):+.0f}%) |")
        return "\n".join(lines)


def leftovers() -> dict[str, set[str]]:
    """Names of what exists in the places where runs leave things, by place."""
    sockets = {f"{c.laddr.ip}:{c.laddr.port}" for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    folders = {
        str(place): {path.name for path in place.iterdir()} for place in map(Path, (tempfile.gettempdir(), "/dev/shm"))
    }
    return {**folders, "listening sockets": sockets}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("outputs/soak"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/demo"))
    parser.add_argument("--method", default="[ecvgpo,vepo]")
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    out, task = arguments.out.resolve(), TASKS["reasoning"]
    refuse_used(out)
    model, data = ensure_demo_assets(arguments.cache.resolve(), task)
    before, memory = leftovers(), MemoryLog(out)
    command = training_command(model, data, out, task, arguments.method, arguments.steps)
    error = attempt(command, out, 0, memory)
    if error is not None:
        sys.exit(f"the run failed: {error}")
    print(memory.table(arguments.steps), end="\n\n")
    for place, after in leftovers().items():
        left = sorted(after - before[place])
        print(f"- left in {place}: {', '.join(left) if left else 'nothing'}")


if __name__ == "__main__":
    main()
